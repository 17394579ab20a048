"""Runs in a browser while they are written: read-only, and for whoever may see them."""
