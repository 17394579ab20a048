"""Predicts how accurate a candidate becomes from candidates that were fully trained."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence

from gtn_nas.architecture import Choice
from gtn_nas.proxies.catalogue import TIMES
from gtn_nas.ranking.columns import value_of
from gtn_nas.trial import Record

LEAST = 10
"""Full trainings below which it chooses nothing.

The known ones are the best of a ranking, and so much alike. On cells of NAS-Bench-201, after five
of them it chose worse than nwot did; after ten, as well.
"""

COLUMNS = ("proxy_accuracy", "proxy_loss", "params", "flops", "depth")
"""Columns of every record that tell of the network, beside the further proxies of ``extra``."""

Features = dict[str, float | str]


def predict(
    known: Sequence[tuple[Record, float]], rest: Sequence[Record], seed: int
) -> list[float]:
    """Return the accuracies that the rest will reach, as far as the known ones tell.

    A random forest learns from choices and proxies. It equals for equal candidates and seed, in
    whatever order the known ones came.

    Args:
        known: candidates that were fully trained, and their validation accuracies; at least one.
        rest: candidates to predict, of the same search space and budget.
        seed: seed of the forest, below 2**32.
    """
    if not rest:
        return []
    # Takes a second to import, and most searches do without.
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.feature_extraction import DictVectorizer

    ordered = sorted(known, key=lambda pair: pair[0].key)
    records = [record for record, _ in ordered]
    choices = {name for record in records for name in record.architecture.choices}
    proxies = {name for r in records for name in (*COLUMNS, *r.extra) if name not in TIMES}
    # Texts become a column for each value; what no known candidate has is left out.
    table = DictVectorizer(sparse=False)
    forest = RandomForestRegressor(random_state=seed, n_jobs=1)
    forest.fit(
        table.fit_transform([_features(record, choices, proxies) for record in records]),
        [accuracy for _, accuracy in ordered],
    )
    wanted = table.transform([_features(record, choices, proxies) for record in rest])
    return [float(accuracy) for accuracy in forest.predict(wanted)]


def _features(record: Record, choices: Collection[str], proxies: Collection[str]) -> Features:
    """Return what the forest sees of a candidate.

    A proxy without a value stays missing (the forest learns to which side of a split those belong;
    where no known candidate lacks it, they go where most do): filling in the worst value would
    claim that the candidate is bad, and the median that it is not.
    """
    chosen = record.architecture.choices
    features: Features = {f"choice {name}": _feature(chosen, name) for name in choices}
    for name in proxies:
        value = value_of(record, name)
        # A forest sees only the order, and numbers of single precision; synflow can exceed those.
        features[f"proxy {name}"] = math.nan if value is None else math.asinh(value)
    return features


def _feature(chosen: Mapping[str, Choice], name: str) -> float | str:
    """Return a choice: a number as it is, anything else as a text that is a category."""
    if name not in chosen:
        return "dropped"  # as no JSON value reads
    value = chosen[name]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return json.dumps(value)
