"""The one order of candidates, for records in memory and for SQL."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from gtn_nas.results.columns import quoted, value_of
from gtn_nas.results.limits import Limit
from gtn_nas.trial import Record, Status

DEFAULT = "proxy_accuracy"


def lower_is_better(column: str) -> bool:
    """Tell a column's direction from its name: losses, sizes and times should be small."""
    return column in {"params", "flops"} or column.endswith(("_loss", "_s", "_ms"))


def loss_of(record: Record, column: str) -> float | None:
    """Return a record's value in a column such that lower is better, if it has a finite one."""
    value = value_of(record, column)
    if value is None:
        return None
    return value if lower_is_better(column) else -value


def ranked(
    records: Iterable[Record], rank_by: str = DEFAULT, limits: Sequence[Limit] = ()
) -> list[Record]:
    """Sort candidates best first, each by the record of its largest budget.

    Successful ones come first, and of them those within all limits; then a larger budget counts
    more than any score, since scores of different budgets cannot be compared. Then the score
    decides, then the proxy's loss, then the number of parameters, and last the key, so that the
    order does not depend on who finished first. A missing or non-finite value comes after every
    other.
    """
    latest: dict[str, Record] = {}
    for record in records:
        if record.key not in latest or record.budget > latest[record.key].budget:
            latest[record.key] = record
    return sorted(latest.values(), key=lambda r: sort_key(r, rank_by, limits))


def sort_key(
    record: Record, rank_by: str = DEFAULT, limits: Sequence[Limit] = ()
) -> tuple[Any, ...]:
    """Return what ``ranked`` sorts a record by; the best has the smallest."""
    beyond = any(limit.violation(record) > 0 for limit in limits)
    measures = (_measure(record, c) for c in (rank_by, "proxy_loss", "params"))
    failed = record.status is not Status.OK
    return (failed, beyond, -record.budget, *measures, record.key, record.tell_index)


def order_by(rank_by: str, columns: Collection[str], limits: Sequence[Limit] = ()) -> str:
    """Return the same order as the terms of an SQL ``ORDER BY``.

    Args:
        rank_by: column of the score; one that no candidate has counts as missing everywhere.
        columns: the table's columns.
        limits: what candidates must keep.
    """
    measures = [c for c in (rank_by, "proxy_loss", "params") if c in columns]
    terms = [f"status <> '{Status.OK}'", f"NOT ({within(limits, columns)})", "budget DESC"]
    for column in measures:
        value, direction = quoted(column), "ASC" if lower_is_better(column) else "DESC"
        # A double NaN sorts above every number in SQL, so it is taken for a null.
        finite = f"CASE WHEN isfinite({value}::DOUBLE) THEN {value} END"
        terms.append(f"{finite} {direction} NULLS LAST")
    return ", ".join([*terms, "key", "tell_index"])


def within(limits: Sequence[Limit], columns: Collection[str]) -> str:
    """Return the SQL condition that a candidate keeps all limits."""
    return " AND ".join(limit.sql(columns) for limit in limits) or "true"


def _measure(record: Record, column: str) -> tuple[bool, float]:
    """Return a value to sort by ascending, missing ones last."""
    loss = loss_of(record, column)
    return (True, 0.0) if loss is None else (False, loss)
