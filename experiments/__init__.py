"""One file, one claim, one table; run each with ``python -m experiments.NAME``."""
