"""The one order of candidates, for records in memory and for SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from gtn_nas.ranking.columns import (
    loss_of,
    missing_last,
    order_term,
)
from gtn_nas.ranking.limits import Limit
from gtn_nas.ranking.score import Score
from gtn_nas.trial import Record, Status


def ranked(records: Iterable[Record], score: Score, limits: Sequence[Limit] = ()) -> list[Record]:
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
    groups: dict[tuple[bool, bool, int], list[Record]] = defaultdict(list)
    for record in latest.values():
        beyond = any(limit.violation(record) > 0 for limit in limits)
        groups[record.status is not Status.OK, beyond, -record.budget].append(record)
    return [r for group in sorted(groups) for r in _sorted(groups[group], score)]


def _sorted(comparable: Sequence[Record], score: Score) -> list[Record]:
    """Sort candidates of equal standing by their score, then by what breaks ties."""

    def key(item: tuple[float, Record]) -> tuple[Any, ...]:
        rank, record = item
        ties = (missing_last(loss_of(record, name)) for name in ("proxy_loss", "params"))
        return (rank, *ties, record.key, record.tell_index)

    ranks = score.ranks(comparable)
    return [r for _, r in sorted(zip(ranks, comparable, strict=True), key=key)]


def order_by(score: Score, columns: Collection[str], limits: Sequence[Limit] = ()) -> str:
    """Return the same order as the terms of an SQL ``ORDER BY``.

    Args:
        score: what ranks; a column that no candidate has counts as missing everywhere.
        columns: the table's columns.
        limits: what candidates must keep.
    """
    failed, beyond = f"status <> '{Status.OK}'", f"NOT ({within(limits, columns)})"
    scores = score.order_by(columns, [failed, beyond, "budget"])
    ties = [order_term(name, lower=True) for name in ("proxy_loss", "params") if name in columns]
    return ", ".join([failed, beyond, "budget DESC", *scores, *ties, "key", "tell_index"])


def within(limits: Sequence[Limit], columns: Collection[str]) -> str:
    """Return the SQL condition that a candidate keeps all limits."""
    return " AND ".join(limit.sql(columns) for limit in limits) or "true"
