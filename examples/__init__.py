"""Worked examples of what a user of gtn-nas writes."""
