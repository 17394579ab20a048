"""A candidate's column by its name: its value in a record, and its name in SQL."""

from __future__ import annotations

import math
from dataclasses import fields

from gtn_nas.trial import Record

MEASURES = tuple(
    f.name
    for f in fields(Record)
    if f.type in ("int | None", "float | None") and f.name != "threads"
)
"""Columns that hold a number which an evaluation found; threads are a circumstance of it."""


def value_of(record: Record, column: str) -> float | None:
    """Return a record's value in a numeric column, if it has a finite one."""
    value = record.extra.get(column, getattr(record, column, None))
    return value if value is not None and math.isfinite(value) else None


def quoted(name: str) -> str:
    """Return a column's name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
