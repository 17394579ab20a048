"""The run folder: one process writes it, and any process can read and query it."""
