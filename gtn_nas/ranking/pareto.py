"""The Pareto front: the items that no other item dominates."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

Losses = Sequence[float | None]
"""One value for each objective; lower is better."""


def dominates(one: Losses, other: Losses) -> bool:
    """Tell whether ``one`` is worse than ``other`` in no objective and better in at least one.

    If either has a missing or non-finite value, neither dominates the other.

    Source: Deb et al. 2002, "A fast and elitist multiobjective genetic algorithm: NSGA-II", section
    III.
    """
    ours, theirs = _complete(one), _complete(other)
    return ours is not None and theirs is not None and _better(ours, theirs)


def front(items: Sequence[T], losses: Callable[[T], Losses]) -> list[T]:
    """Return the items that no other item dominates, in the order given.

    Items with a missing or non-finite value are left out. Items with equal values are all kept.

    Args:
        items: the items to compare.
        losses: returns an item's values; lower is better.
    """
    values = [_complete(losses(item)) for item in items]
    kept: list[tuple[tuple[float, ...], int]] = []
    # Sorted by rising losses, no item is dominated by a later one, so kept items stay kept.
    for value, i in sorted((v, i) for i, v in enumerate(values) if v is not None):
        if not any(_better(better, value) for better, _ in kept):
            kept.append((value, i))
    return [items[i] for i in sorted(i for _, i in kept)]


def _complete(losses: Losses) -> tuple[float, ...] | None:
    """Return the values, or ``None`` if one of them is missing or not finite."""
    finite = tuple(value for value in losses if value is not None and math.isfinite(value))
    return finite if len(finite) == len(losses) else None


def _better(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
