"""Cheap estimates of how good a candidate would be after a full training."""
