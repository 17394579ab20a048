"""The report: one HTML page about a run, with its results, its course and how to repeat it."""
