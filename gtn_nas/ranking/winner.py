"""The best of the fully trained networks, for records in memory and as SQL.

Only results on the validation split decide; the test split is never used. Successful trainings come
first. Among them, the higher validation accuracy wins, then the lower validation loss (0.0 is the
best possible one), then the key, so that the order does not depend on which training finished
first. A missing or non-finite value comes after every number.

A run can train a network more than once, for instance after a crash. Each training is a row of its
own in the table of finals, and the best row counts for the network. Of equal rows the latest
counts, since its weights are the ones in the run folder.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gtn_nas.ranking.columns import finite, missing_last, order_term
from gtn_nas.trial import Final, Status

HIGHEST = "validation_accuracy"
"""The column of the finals that decides first: the highest value wins."""

LOWEST = "validation_loss"
"""The column that decides between equal values of ``HIGHEST``: the lowest value wins."""


def best_first(finals: Iterable[Final]) -> list[Final]:
    """Sort all full trainings of a run, best first."""
    latest_first = sorted(finals, key=lambda final: final.created_at, reverse=True)
    return sorted(latest_first, key=_standing)


def winner(finals: Iterable[Final]) -> Final | None:
    """Return the best full training, or ``None`` if none succeeded."""
    best = next(iter(best_first(finals)), None)
    return best if best is not None and best.status is Status.OK else None


def order_by() -> str:
    """Return the order of ``best_first`` as the terms of an SQL ``ORDER BY`` on finals."""
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
