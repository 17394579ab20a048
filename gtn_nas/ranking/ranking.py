"""The order of candidates, for records in memory and as SQL."""

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
    """Sort candidates best first. Each is represented by its record with the largest budget.

    These criteria decide, in this order:

    1. Successful candidates come before failed ones.
    2. Candidates that keep all limits come before others.
    3. Larger budgets come first, since scores of different budgets cannot be compared.
    4. The score.
    5. The proxy's loss, lower first, then the number of parameters, lower first.
    6. The key, so that the order does not depend on which evaluation finished first.

    A missing or non-finite value comes after all others.
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
    """Sort candidates that are equal in status, limits and budget by the remaining criteria."""

    def key(item: tuple[float, Record]) -> tuple[Any, ...]:
        rank, record = item
        ties = (missing_last(loss_of(record, name)) for name in ("proxy_loss", "params"))
        return (rank, *ties, record.key, record.tell_index)

    ranks = score.ranks(comparable)
    return [r for _, r in sorted(zip(ranks, comparable, strict=True), key=key)]


def order_by(score: Score, columns: Collection[str], limits: Sequence[Limit] = ()) -> str:
    """Return the order of ``ranked`` as the terms of an SQL ``ORDER BY``.

    Args:
        score: the score to rank by; if the table lacks one of its columns, all values are missing.
        columns: the table's columns.
        limits: limits that candidates must keep.
    """
    failed, beyond = f"status <> '{Status.OK}'", f"NOT ({within(limits, columns)})"
    scores = score.order_by(columns, [failed, beyond, "budget"])
    ties = [order_term(name, lower=True) for name in ("proxy_loss", "params") if name in columns]
    return ", ".join([failed, beyond, "budget DESC", *scores, *ties, "key", "tell_index"])


def within(limits: Sequence[Limit], columns: Collection[str]) -> str:
    """Return an SQL condition that is true if a candidate keeps all limits."""
    return " AND ".join(limit.sql(columns) for limit in limits) or "true"
