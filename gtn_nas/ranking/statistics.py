"""How well a score ranks, beside the truth, with intervals.

A score and a truth are arrays ``(n,)``, higher is better. Intervals are percentiles of a bootstrap
over architectures; differences between two scores are paired, on the same resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata

Values = NDArray[np.float64]
Measure = Callable[[Values, Values], float]

LOOKS = 10
"""How many of a score's best a user would train fully."""
SHARE = 0.1
"""Part of the architectures that counts as the best of them."""
FEW = 200
"""Architectures up to which all pairs are compared at once."""
RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


def spearman(score: Values, truth: Values) -> float:
    """Return the correlation of ranks; 0 where either is constant."""
    a, b = rankdata(score), rankdata(truth)
    spread = a.std() * b.std()
    return float(np.mean((a - a.mean()) * (b - b.mean())) / spread) if spread else 0.0


def kendall(score: Values, truth: Values) -> float:
    """Return Kendall's tau-b; 0 where either is constant."""
    if not np.ptp(score) or not np.ptp(truth):
        return 0.0
    if len(truth) > FEW:
        return float(kendalltau(score, truth).statistic)
    # All pairs at once: scipy's call takes ten times as long, and a bootstrap makes thousands.
    a, b = (np.sign(values[:, None] - values) for values in (score, truth))
    return float(np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b)))


def ndcg(score: Values, truth: Values) -> float:
    """Return the discounted cumulative gain of the ten best, as a share of what is possible.

    Gains are truths scaled to 0-1 (Jaervelin & Kekaelaeinen 2002).
    """
    spread = truth.max() - truth.min()
    gains = (truth - truth.min()) / spread if spread else np.ones_like(truth)
    discounts = 1 / np.log2(np.arange(2, 2 + min(LOOKS, len(truth))))
    found = gains[_best(score, LOOKS)] @ discounts
    return float(found / (np.sort(gains)[::-1][:LOOKS] @ discounts))


def precision(score: Values, truth: Values) -> float:
    """Return how many of the score's best tenth are in the truth's best tenth, as a share."""
    count = max(1, round(SHARE * len(truth)))
    bound = np.sort(truth)[-count]
    return float(np.mean(truth[_best(score, count)] >= bound))


def regret(score: Values, truth: Values) -> float:
    """Return how far the truth's best is above the best of the score's ten best."""
    return float(truth.max() - truth[_best(score, LOOKS)].max())


def of_better_half(measure: Measure) -> Measure:
    """Return the measure on the architectures that are truly at the median or above."""

    def measured(score: Values, truth: Values) -> float:
        chosen = truth >= np.median(truth)
        return measure(score[chosen], truth[chosen])

    return measured


MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "spearman": spearman,
        "spearman_better_half": of_better_half(spearman),
        "kendall": kendall,
        "kendall_better_half": of_better_half(kendall),
        "ndcg_10": ndcg,
        "precision_10_percent": precision,
        "regret_10": regret,
    }
)


def with_interval(
    measure: Measure, score: Values, truth: Values, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Return a measure with its interval."""
    found = [measure(score[i], truth[i]) for i in _resamples(len(truth), resamples, seed)]
    return _interval(measure(score, truth), found)


def difference(
    measure: Measure,
    score: Values,
    other: Values,
    truth: Values,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return by how much ``score`` exceeds ``other`` in a measure, with its paired interval."""

    def apart(places: NDArray[np.int64]) -> float:
        return measure(score[places], truth[places]) - measure(other[places], truth[places])

    found = [apart(places) for places in _resamples(len(truth), resamples, seed)]
    return _interval(apart(np.arange(len(truth))), found)


def _best(score: Values, count: int) -> NDArray[np.int64]:
    """Return the places of the best; of equal ones, the earlier."""
    places: NDArray[np.int64] = np.argsort(-score, kind="stable")[:count]
    return places


def _resamples(count: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    return (rng.integers(count, size=count) for _ in range(resamples))


def _interval(value: float, found: list[float]) -> Interval:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return Interval(value, float(low), float(high))
