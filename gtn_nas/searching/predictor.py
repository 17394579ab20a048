"""Predict a candidate's accuracy after full training, from candidates that were fully trained."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence

from gtn_nas.architecture import Choice
from gtn_nas.proxies.catalogue import TIMES
from gtn_nas.ranking.columns import value_of
from gtn_nas.trial import Record

LEAST_TRAINED = 10
"""Number of full trainings that the predictor needs before it chooses candidates.

The trained candidates are the best of a ranking, and therefore much alike. On cells of
NAS-Bench-201, the predictor chose worse than the proxy nwot after five of them, and as well as nwot
after ten.
"""

COLUMNS = ("proxy_accuracy", "proxy_loss", "params", "flops", "depth")
"""Columns of every record that the forest learns from, besides the further proxies of ``extra``."""

Features = dict[str, float | str]


def predict(
    known: Sequence[tuple[Record, float]], rest: Sequence[Record], seed: int
) -> list[float]:
    """Predict the validation accuracies of candidates after full training, by a random forest.

    The forest learns from choices and proxies. It depends on the known candidates and the seed,
    but not on the order of the known candidates.

    Args:
        known: candidates that were fully trained, and their validation accuracies; at least one.
        rest: candidates to predict, of the same search space and budget as the known ones.
        seed: seed of the forest, below 2**32.

    Returns:
        One accuracy (0-1) for each candidate in ``rest``, in its order.
    """
    if not rest:
        return []
    # The import takes a second, and most searches do not need it.
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.feature_extraction import DictVectorizer

    ordered = sorted(known, key=lambda pair: pair[0].key)
    records = [record for record, _ in ordered]
    choices = {name for record in records for name in record.architecture.choices}
    proxies = {name for r in records for name in (*COLUMNS, *r.extra) if name not in TIMES}
    # A text becomes one column for each of its values; values of no known candidate are ignored.
    table = DictVectorizer(sparse=False)
    forest = RandomForestRegressor(random_state=seed, n_jobs=1)
    forest.fit(
        table.fit_transform([_features(record, choices, proxies) for record in records]),
        [accuracy for _, accuracy in ordered],
    )
    wanted = table.transform([_features(record, choices, proxies) for record in rest])
    return [float(accuracy) for accuracy in forest.predict(wanted)]


def _features(record: Record, choices: Collection[str], proxies: Collection[str]) -> Features:
    """Return the features of a candidate, by name.

    A proxy without a value stays missing (NaN). The forest learns on which side of a split missing
    values belong; if no known candidate lacks the value, they go to the side of the majority. The
    worst value in its place would claim that the candidate is bad, and the median that it is not.
    """
    chosen = record.architecture.choices
    features: Features = {f"choice {name}": _feature(chosen, name) for name in choices}
    for name in proxies:
        value = value_of(record, name)
        # The forest uses only the order of values, in float32, whose range synflow can exceed.
        features[f"proxy {name}"] = math.nan if value is None else math.asinh(value)
    return features


def _feature(chosen: Mapping[str, Choice], name: str) -> float | str:
    """Return the value of a choice: a number as it is, anything else as a text (a category)."""
    if name not in chosen:
        return "dropped"  # no JSON value reads like this
    value = chosen[name]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return json.dumps(value)
