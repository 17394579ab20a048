"""Exports a trained network as files that can be used without this package."""
