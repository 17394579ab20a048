"""Confidence intervals of means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import bootstrap

from gtn_nas.ranking.statistics import Interval

RESAMPLES = 2000


def mean_with_interval(values: Sequence[float]) -> Interval:
    """Return the mean of two or more values with its 95 % bootstrap percentile interval."""
    found = bootstrap(
        (np.array(values),), np.mean, n_resamples=RESAMPLES, method="percentile", rng=0
    ).confidence_interval
    return Interval(float(np.mean(values)), float(found.low), float(found.high))
