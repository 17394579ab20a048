"""How far a ranking agrees with the cheapest one of all, and predictions with what came true."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gtn_nas.trial import Final, Record, Status

LEAST = 3
"""Candidates below which a rank correlation says nothing."""

TOP = 10


@dataclass(frozen=True)
class Agreement:
    """How two rankings of the same candidates compare.

    Attributes:
        spearman: rank correlation, -1 to 1; 1 means that the larger network always ranks higher.
        count: candidates compared.
        shared: how many stand among the first ``top`` of both.
        top: length of the two lists whose overlap is counted.
    """

    spearman: float
    count: int
    shared: int
    top: int


def agreement_with_size(ranking: Sequence[Record]) -> Agreement | None:
    """Compare a ranking, best first, with one that puts the largest network first.

    Returns:
        The agreement over candidates that ended ``ok``, or ``None`` if there are too few of them,
        or if all have the same size.
    """
    from scipy.stats import spearmanr

    sized = [r for r in ranking if r.status is Status.OK and r.params is not None]
    sizes = [r.params or 0 for r in sized]
    if len(sized) < LEAST or len(set(sizes)) == 1:
        return None
    spearman = float(spearmanr([-place for place in range(len(sized))], sizes).statistic)
    if not math.isfinite(spearman):
        return None
    top = min(TOP, len(sized) // 2)
    largest = sorted(sized, key=lambda r: (-(r.params or 0), r.key))[:top]
    shared = {r.key for r in sized[:top]} & {r.key for r in largest}
    return Agreement(spearman, len(sized), len(shared), top)


def agreement_with_predictions(finals: Sequence[Final]) -> float | None:
    """Return the rank correlation of predicted and reached validation accuracies.

    Returns:
        That of finals that were chosen by a prediction and ended ``ok``, or ``None`` if there are
        too few of them. It is 0 where all predictions or all accuracies are equal.
    """
    import numpy as np

    from gtn_nas.ranking.statistics import spearman

    pairs = [
        (f.predicted_accuracy, f.validation_accuracy)
        for f in finals
        if f.predicted_accuracy is not None and f.validation_accuracy is not None
    ]
    if len(pairs) < LEAST:
        return None
    predicted, reached = np.array(pairs).T
    return spearman(predicted, reached)
