"""The one order of candidates, for records in memory and for SQL."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Any

from gtn_nas.trial import Record, Status

DEFAULT = "proxy_accuracy"


def lower_is_better(column: str) -> bool:
    """Tell a column's direction from its name: losses, sizes and times should be small."""
    return column in {"params", "flops"} or column.endswith(("_loss", "_s", "_ms"))


def ranked(records: Iterable[Record], rank_by: str = DEFAULT) -> list[Record]:
    """Sort records best first.

    Successful ones come first; then the score decides, then the proxy's loss, then the number of
    parameters, and last the key, so that the order does not depend on who finished first. A
    missing or non-finite value comes after every other.
    """
    return sorted(records, key=lambda r: sort_key(r, rank_by))


def sort_key(record: Record, rank_by: str = DEFAULT) -> tuple[Any, ...]:
    """Return what ``ranked`` sorts a record by; the best has the smallest."""
    measures = (_measure(record, c) for c in (rank_by, "proxy_loss", "params"))
    return (record.status is not Status.OK, *measures, record.key, record.tell_index)


def order_by(rank_by: str, columns: Collection[str]) -> str:
    """Return the same order as the terms of an SQL ``ORDER BY``.

    Args:
        rank_by: column of the score; one that no candidate has counts as missing everywhere.
        columns: the table's columns.
    """
    measures = [c for c in (rank_by, "proxy_loss", "params") if c in columns]
    terms = [f"status <> '{Status.OK}'"]
    for column in measures:
        value, direction = quoted(column), "ASC" if lower_is_better(column) else "DESC"
        # A double NaN sorts above every number in SQL, so it is taken for a null.
        finite = f"CASE WHEN isfinite({value}::DOUBLE) THEN {value} END"
        terms.append(f"{finite} {direction} NULLS LAST")
    return ", ".join([*terms, "key", "tell_index"])


def quoted(name: str) -> str:
    """Return a column's name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _measure(record: Record, column: str) -> tuple[bool, float]:
    """Return a value to sort by ascending, missing ones last."""
    value = record.value(column)
    if value is None or not math.isfinite(value):
        return True, 0.0
    return False, value if lower_is_better(column) else -value
