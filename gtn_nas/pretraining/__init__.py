"""Pretraining of a teacher: one meta-training from its configuration to the finished file."""
