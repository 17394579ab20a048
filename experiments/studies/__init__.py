"""Tests of claims: each claim has one script, and one table of the same name."""
