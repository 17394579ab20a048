"""The Generative Teaching Network: what it is, how it teaches, how it learns to."""
