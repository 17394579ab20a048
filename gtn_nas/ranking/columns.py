"""A candidate's column by its name: its value in a record, which values are better, and its SQL."""

from __future__ import annotations

import math
from dataclasses import fields

from gtn_nas.proxies.catalogue import DIRECTIONS, SIZES
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


def lower_is_better(column: str) -> bool:
    """Tell a column's direction as an objective: losses, times and sizes should be small.

    Directions are declared in ``proxies.catalogue``. Of a column that is not declared there, such
    as one of a foreign run, higher values are better.
    """
    return column in SIZES or lower_ranks_first(column)


def lower_ranks_first(column: str) -> bool:
    """Tell a column's direction in a score: the same, but that larger networks are better."""
    return DIRECTIONS.get(column) == "lower"


def quoted(name: str) -> str:
    """Return a column's name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
