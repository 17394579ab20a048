"""Who wins among the networks that were fully trained, for records in memory and for SQL.

Validation alone decides; the test split has no say. Trainings that ended well come first. Of them,
the higher validation accuracy wins, then the lower validation loss (0.0 is the lowest there is),
then the key, so that the order does not depend on who finished first. A missing or non-finite value
comes after every number.

A run can have trained a network more than once, for instance after a crash. Each training is a
final of its own, and the network counts by its best one; of equal ones by the later, whose weights
are those in the run folder.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gtn_nas.ranking.columns import finite, missing_last, order_term
from gtn_nas.trial import Final, Status

HIGHEST = "validation_accuracy"
"""The column of the finals whose highest value wins."""

LOWEST = "validation_loss"
"""The column whose lowest value wins among those."""


def best_first(finals: Iterable[Final]) -> list[Final]:
    """Sort all full trainings of a run, best first."""
    latest_first = sorted(finals, key=lambda final: final.created_at, reverse=True)
    return sorted(latest_first, key=_standing)


def winner(finals: Iterable[Final]) -> Final | None:
    """Return the best full training, if any ended well."""
    best = next(iter(best_first(finals)), None)
    return best if best is not None and best.status is Status.OK else None


def order_by() -> str:
    """Return the same order as the terms of an SQL ``ORDER BY``, for the table of finals."""
    failed = f"status <> '{Status.OK}'"
    values = [order_term(HIGHEST, lower=False), order_term(LOWEST, lower=True)]
    return ", ".join([failed, *values, "key", "created_at DESC"])


def _standing(final: Final) -> tuple[Any, ...]:
    accuracy, loss = finite(getattr(final, HIGHEST)), finite(getattr(final, LOWEST))
    return (
        final.status is not Status.OK,
        missing_last(None if accuracy is None else -accuracy),
        missing_last(loss),
        final.key,
    )
