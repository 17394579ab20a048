"""Columns by name: a candidate's value, whether lower or higher is better, and the SQL to sort."""

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
"""Columns with a numeric result of an evaluation. ``threads`` describes how it was run instead."""


def value_of(record: Record, column: str) -> float | None:
    """Return a record's value in a numeric column, or ``None`` if it is missing or not finite."""
    return finite(record.extra.get(column, getattr(record, column, None)))


def finite(value: float | None) -> float | None:
    """Return the value if it is a finite number, otherwise ``None``."""
    return value if value is not None and math.isfinite(value) else None


def lower_is_better(column: str) -> bool:
    """Tell whether lower values of a column are better when it is an objective.

    This is so for losses, times and sizes. Directions are declared in ``proxies.catalogue``; for a
    column that is not declared there, higher values are better.
    """
    return column in SIZES or lower_ranks_first(column)


def lower_ranks_first(column: str) -> bool:
    """Tell whether lower values of a column are better when it is part of a score.

    This is ``lower_is_better`` with one exception: in a score, larger networks are better.
    """
    return DIRECTIONS.get(column) == "lower"


def loss_of(record: Record, column: str) -> float | None:
    """Return a record's value in an objective, with the sign that makes lower values better.

    It is ``None`` if the value is missing or not finite.
    """
    value = value_of(record, column)
    if value is None:
        return None
    return value if lower_is_better(column) else -value


def rank_loss(record: Record, column: str) -> float | None:
    """Return a record's value in a column of a score, with the sign that makes lower values better.

    It is ``None`` if the value is missing or not finite.
    """
    value = value_of(record, column)
    if value is None:
        return None
    return value if lower_ranks_first(column) else -value


def missing_last(value: float | None) -> tuple[bool, float]:
    """Return a sort key that orders values from low to high and puts missing ones last."""
    return (True, 0.0) if value is None else (False, value)


def quoted(name: str) -> str:
    """Return a column's name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def order_term(column: str, *, lower: bool) -> str:
    """Return the term of an SQL ``ORDER BY`` that sorts by a numeric column.

    Missing and non-finite values come after all others.

    Args:
        column: the column's name.
        lower: whether the lowest value comes first; otherwise the highest does.
    """
    # DuckDB sorts NaN above every number, so NaN is replaced by NULL.
    value = quoted(column)
    finite = f"CASE WHEN isfinite({value}::DOUBLE) THEN {value} END"
    return f"{finite} {'ASC' if lower else 'DESC'} NULLS LAST"
