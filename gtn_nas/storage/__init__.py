"""Paths on a disk or in a bucket of an object store, and complete writing of files there."""
