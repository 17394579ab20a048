"""One page about a run: what it found, how it went, and how to repeat it."""
