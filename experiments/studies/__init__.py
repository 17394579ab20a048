"""Claims: one claim, one script, one table of its name."""
