"""Benchmarks of speed; the compared variants are measured side by side in one run."""
