"""Validated settings: each one's type, default and help text stand on its field here."""
