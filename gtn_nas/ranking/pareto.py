"""The Pareto front: the items that no other one beats in everything at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

Losses = Sequence[float | None]
"""One value for each objective, the lower the better."""


def dominates(one: Losses, other: Losses) -> bool:
    """Tell whether ``one`` is nowhere worse than ``other`` and somewhere better.

    Source: Deb et al. 2002, "A fast and elitist multiobjective genetic algorithm: NSGA-II", section
    III. What has a missing or non-finite value compares with nothing, and so dominates nothing.
    """
    ours, theirs = _complete(one), _complete(other)
    return ours is not None and theirs is not None and _better(ours, theirs)


def front(items: Sequence[T], losses: Callable[[T], Losses]) -> list[T]:
    """Return the items that no other one dominates, in the order given.

    Items with a missing or non-finite value are left out; of equal ones, all are kept.

    Args:
        items: what is compared.
        losses: returns an item's values, the lower the better.
    """
    values = [_complete(losses(item)) for item in items]
    kept: list[tuple[tuple[float, ...], int]] = []
    # By rising losses, nothing is dominated by a later one, so that the front only grows.
    for value, i in sorted((v, i) for i, v in enumerate(values) if v is not None):
        if not any(_better(better, value) for better, _ in kept):
            kept.append((value, i))
    return [items[i] for i in sorted(i for _, i in kept)]


def _complete(losses: Losses) -> tuple[float, ...] | None:
    """Return the values if all of them can be compared."""
    finite = tuple(value for value in losses if value is not None and math.isfinite(value))
    return finite if len(finite) == len(losses) else None


def _better(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
