"""Validated settings, one class per command: each field has a type, a default and a help text."""
