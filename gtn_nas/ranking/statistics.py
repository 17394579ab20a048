"""How well one ranking agrees with another, e.g. a proxy's scores with the true accuracies.

``score`` and ``truth`` are arrays ``(n,)`` with one value for each architecture; higher is better.
Intervals are percentiles of a bootstrap over architectures. The difference between two scores is
paired: both are measured on the same resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap, kendalltau, rankdata

from gtn_nas.trial import Final, Record, Status

Values = NDArray[np.float64]
Places = NDArray[np.int64]
Measure = Callable[[Values, Values], float]

LOOKS = 10
"""How many of the architectures with the best scores a user would train fully."""
SHARE = 0.1
"""The share of architectures that ``precision`` counts as the best."""
FEW = 200
"""Up to this many architectures, ``kendall`` compares all pairs in one array operation."""
RESAMPLES = 1000
LEAST_PAIRS = 3
"""With fewer architectures, a rank correlation says nothing."""


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Agreement:
    """How two rankings of the same candidates compare.

    Attributes:
        spearman: rank correlation, -1 to 1; 1 means that the larger network always ranks higher.
        count: number of candidates compared.
        shared: how many candidates are among the first ``top`` of both rankings.
        top: how many of the first candidates of each ranking are compared for ``shared``.
    """

    spearman: float
    count: int
    shared: int
    top: int


def spearman(score: Values, truth: Values) -> float:
    """Return Spearman's rank correlation; 0 if either array is constant (SciPy returns NaN)."""
    a, b = rankdata(score), rankdata(truth)
    spread = a.std() * b.std()
    return float(np.mean((a - a.mean()) * (b - b.mean())) / spread) if spread else 0.0


def kendall(score: Values, truth: Values) -> float:
    """Return Kendall's tau-b; 0 if either array is constant."""
    if not np.ptp(score) or not np.ptp(truth):
        return 0.0
    if len(truth) > FEW:
        return float(kendalltau(score, truth).statistic)
    # SciPy takes ten times as long for small arrays, and a bootstrap makes thousands of calls.
    a, b = (np.sign(values[:, None] - values) for values in (score, truth))
    return float(np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b)))


def ndcg(score: Values, truth: Values) -> float:
    """Return the normalised discounted cumulative gain of the ten best scores, from 0 to 1.

    Gains are true values scaled to 0-1 (Jaervelin & Kekaelaeinen 2002).
    """
    # The result equals scikit-learn's ``ndcg_score`` if all scores are different. That function
    # takes 0.4 ms, thirty times as long, and a bootstrap makes thousands of calls.
    spread = truth.max() - truth.min()
    gains = (truth - truth.min()) / spread if spread else np.ones_like(truth)
    discounts = 1 / np.log2(np.arange(2, 2 + min(LOOKS, len(truth))))
    found = gains[_best(score, LOOKS)] @ discounts
    return float(found / (np.sort(gains)[::-1][:LOOKS] @ discounts))


def precision(score: Values, truth: Values) -> float:
    """Return the share of the score's best tenth that is in the truth's best tenth."""
    count = max(1, round(SHARE * len(truth)))
    bound = np.sort(truth)[-count]
    return float(np.mean(truth[_best(score, count)] >= bound))


def regret(score: Values, truth: Values) -> float:
    """Return how much is lost by looking only at the ten architectures with the best scores.

    It is the best true value of all architectures minus the best true value of these ten.
    """
    return float(truth.max() - truth[_best(score, LOOKS)].max())


def of_better_half(measure: Measure) -> Measure:
    """Return the measure restricted to architectures whose true value is at least the median."""

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
    """Return the value of a measure with its 95 % interval."""
    return _interval(lambda i: measure(score[i], truth[i]), len(truth), resamples, seed)


def difference(
    measure: Measure,
    score: Values,
    other: Values,
    truth: Values,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return by how much ``score`` exceeds ``other`` in a measure, with its paired interval."""

    def apart(i: Places) -> float:
        return measure(score[i], truth[i]) - measure(other[i], truth[i])

    return _interval(apart, len(truth), resamples, seed)


def agreement_with_size(ranking: Sequence[Record]) -> Agreement | None:
    """Compare a ranking, best first, with the ranking that puts the largest network first.

    Returns:
        The agreement over candidates with status ``ok``. ``None`` if there are too few of them or
        if all have the same size.
    """
    sized = [r for r in ranking if r.status is Status.OK and r.params is not None]
    sizes = np.array([r.params or 0 for r in sized], float)
    if len(sized) < LEAST_PAIRS or not np.ptp(sizes):
        return None
    top = min(LOOKS, len(sized) // 2)
    largest = sorted(sized, key=lambda r: (-(r.params or 0), r.key))[:top]
    shared = {r.key for r in sized[:top]} & {r.key for r in largest}
    places = np.arange(len(sized), dtype=float)
    return Agreement(spearman(-places, sizes), len(sized), len(shared), top)


def agreement_with_predictions(finals: Sequence[Final]) -> float | None:
    """Return the rank correlation of predicted and reached validation accuracies.

    Returns:
        The correlation over full trainings with a predicted and a reached accuracy. ``None`` if
        there are too few of them; 0 if all predictions or all accuracies are equal.
    """
    pairs = [
        (f.predicted_accuracy, f.validation_accuracy)
        for f in finals
        if f.predicted_accuracy is not None and f.validation_accuracy is not None
    ]
    if len(pairs) < LEAST_PAIRS:
        return None
    predicted, reached = np.array(pairs).T
    return spearman(predicted, reached)


def _best(score: Values, count: int) -> Places:
    """Return the indices of the ``count`` highest scores; of equal scores, the earlier first."""
    places: Places = np.argsort(-score, kind="stable")[:count]
    return places


def _interval(
    statistic: Callable[[Places], float], count: int, resamples: int, seed: int
) -> Interval:
    """Return a statistic with its 95 % bootstrap interval.

    Args:
        statistic: takes the indices of the architectures to use.
        count: number of architectures.
        resamples: number of bootstrap resamples.
        seed: of the bootstrap's random generator.
    """
    places = np.arange(count)
    found = bootstrap(
        (places,),
        statistic,
        n_resamples=resamples,
        vectorized=False,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(statistic(places), float(found.low), float(found.high))
