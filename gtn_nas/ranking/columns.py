"""A column by its name: a candidate's value in it, which values are better, and its SQL."""

from __future__ import annotations

import math
from dataclasses import fields

from gtn_nas.proxies.catalogue import DIRECTIONS, SIZES
from gtn_nas.trial import Record

NUMERIC_COLUMNS = tuple(
    f.name
    for f in fields(Record)
    if f.type in ("int | None", "float | None") and f.name != "threads"
)
"""Columns that hold a number which an evaluation found; threads are a circumstance of it."""


def value_of(record: Record, column: str) -> float | None:
    """Return a record's value in a numeric column, if it has a finite one."""
    return finite(record.extra.get(column, getattr(record, column, None)))


def finite(value: float | None) -> float | None:
    """Return a value if it is a finite number; all others count as missing."""
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


def loss_of(record: Record, column: str) -> float | None:
    """Return a record's value in a column such that lower is better, if it has a finite one."""
    value = value_of(record, column)
    if value is None:
        return None
    return value if lower_is_better(column) else -value


def rank_loss(record: Record, column: str) -> float | None:
    """Return a record's value in a column that ranks, such that lower is better."""
    value = value_of(record, column)
    if value is None:
        return None
    return value if lower_ranks_first(column) else -value


def missing_last(value: float | None) -> tuple[bool, float]:
    """Return what sorts values upwards, and a missing one after all others."""
    return (True, 0.0) if value is None else (False, value)


def quoted(name: str) -> str:
    """Return a column's name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def order_term(column: str, *, lower: bool) -> str:
    """Return the term of an SQL ``ORDER BY`` that sorts by a numeric column.

    A missing or non-finite value comes after all others.

    Args:
        column: its name.
        lower: whether the lowest value comes first, or the highest.
    """
    # A double NaN sorts above every number in SQL, so it is taken for a null.
    value = quoted(column)
    finite = f"CASE WHEN isfinite({value}::DOUBLE) THEN {value} END"
    return f"{finite} {'ASC' if lower else 'DESC'} NULLS LAST"
