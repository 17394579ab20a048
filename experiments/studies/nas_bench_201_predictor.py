"""A predictor as rival and as partner: forests on operations, on proxies, and on both.

``python -m experiments.studies.nas_bench_201_predictor --truth cells_dev.csv`` fits random forests
to so many table entries of the tune part (claim C) and ranks the report part with them; one of them
learns where ``--ranking`` is wrong. With ``--labels RUN`` another is fitted to the short real
trainings of a run (claim B), a cost users would bear.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.ensemble import RandomForestRegressor

from experiments.shared.machine import machine
from experiments.shared.nas_bench_201 import Cells, Values, data_argument, one_hot
from experiments.shared.tables import Table, markdown, with_ends
from gtn_nas.ranking.score import Score
from gtn_nas.ranking.statistics import MEASURES, difference, spearman, with_interval
from gtn_nas.results.query import load_run
from gtn_nas.spaces.nas_bench_201 import NasBench201

ENTRIES = (50, 100, 400)
DRAWS = 10
PROXIES = ("nwot", "jacob_cov", "synflow", "zico", "snip", "grad_norm", "params", "depth")
DEFAULT = "jacob_cov*params"
WEIGHTS = (0.25, 0.5, 1.0)
"""How much the forest on labels may count beside each of the ranking's columns."""

Indices = NDArray[np.int64]
Features = Callable[[pd.DataFrame], Values]


def operations(cells: pd.DataFrame) -> Values:
    """Return the one-hot operations of the cells' edges."""
    return one_hot(cells["arch"].tolist())


def proxies(cells: pd.DataFrame) -> Values:
    """Return proxies as their ranks among these cells, which tames their tails.

    What a cell lacks counts as the lowest: one missing value would make all ranks missing.
    """
    known = cells[list(PROXIES)].fillna(-np.inf)
    return np.stack([rankdata(known[name]) / len(cells) for name in PROXIES], axis=1)


def both(cells: pd.DataFrame) -> Values:
    """Return operations and proxies."""
    return np.concatenate([operations(cells), proxies(cells)], axis=1)


FEATURES: Mapping[str, Features] = {
    "operations": operations,
    "proxies": proxies,
    "operations and proxies": both,
}


def forest(features: Values, truths: Values, seed: int) -> RandomForestRegressor:
    """Fit a forest to the ranks of truths: a few very bad cells would decide it otherwise."""
    model = RandomForestRegressor(300, min_samples_leaf=1, random_state=seed, n_jobs=1)
    return model.fit(features, rankdata(truths) / len(truths))


def corrected(
    features: Values, places: Values, known: Indices, truths: Values, seed: int
) -> Values:
    """Return a ranking's places, corrected by a forest that learns where it is wrong.

    Args:
        features: ``(n, features)``.
        places: ``(n,)`` what the ranking says, from 0 for the worst to 1.
        known: ``(m,)`` which have a truth.
        truths: ``(m,)``.
        seed: of the forest.
    """
    model = RandomForestRegressor(300, min_samples_leaf=3, random_state=seed, n_jobs=1)
    model.fit(features[known], rankdata(truths) / len(truths) - places[known])
    predicted: Values = places + model.predict(features)
    return predicted


def fitted_to_table(cells: Cells, ranking: str, table: Table) -> str:
    """Return claim C: forests fitted to table entries, means over draws of them."""
    tune, report = cells.tune, cells.report
    everything = Cells(pd.concat([tune.frame, report.frame]))
    inputs = {name: features(everything.frame) for name, features in FEATURES.items()}
    places = rankdata(everything.score(ranking)) / len(everything.frame)
    others = slice(len(tune.frame), None)
    truth, rows = report.truth(), []
    for count in ENTRIES:
        ranks: dict[str, list[Values]] = {}
        for draw in range(DRAWS):
            chosen = np.random.default_rng(draw).permutation(len(tune.frame))[:count]
            truths = tune.truth()[chosen]
            found = {n: forest(x[chosen], truths, draw).predict(x) for n, x in inputs.items()}
            found[f"`{ranking}`, corrected by both"] = corrected(
                inputs["operations and proxies"], places, chosen, truths, draw
            )
            for name, predicted in found.items():
                ranks.setdefault(name, []).append(predicted[others])
        for name, draws in ranks.items():
            about = {"claim": "C", "part": "report", "ranking": ranking, "entries": count}
            about |= {"score": name}
            kept = [{**about, "draw": i, **_measured(r, truth)} for i, r in enumerate(draws)]
            table.replace(kept, **about)
            values = np.array([spearman(r, truth) for r in draws])
            first = with_interval(MEASURES["spearman_better_half"], draws[0], truth)
            apart = difference(spearman, draws[0], ranks["operations"][0], truth)
            rows.append(
                [
                    count,
                    name,
                    f"{values.mean():.3f} (sd {values.std(ddof=1):.3f})",
                    with_ends(first),
                    with_ends(apart, "+.3f"),
                ]
            )
    heads = ["entries", "features", "Spearman, ten draws", "better half, first draw"]
    return markdown([*heads, "over operations alone, first draw"], rows)


def fitted_to_labels(part: Cells, part_name: str, folder: Path, ranking: str, table: Table) -> str:
    """Return claim B: forests fitted to short real trainings, alone and beside a ranking."""
    run, space = load_run(folder), NasBench201()
    labels = run.candidates()
    labels = labels[labels["status"] == "ok"].set_index("key")
    labels["arch"] = [space.to_string(run.architecture(key)) for key in labels.index]
    truth = part.truth()
    truths = -labels["real_loss"].to_numpy(dtype=float)
    predicted = forest(operations(labels), truths, 0).predict(operations(part.frame))
    default = part.score(ranking)
    places = [np.log(rankdata(part.score(name))) for name in Score.parse(ranking).columns]
    scores = {"forest on operations": predicted, f"`{ranking}`": default}
    for weight in WEIGHTS:
        together = np.sum(places, axis=0) + weight * np.log(rankdata(predicted))
        scores[f"`{ranking}`, and the forest with weight {weight:g}"] = together
    rows = []
    for name, score in scores.items():
        whole, half = (
            with_interval(MEASURES[m], score, truth) for m in ("spearman", "spearman_better_half")
        )
        more = difference(spearman, score, default, truth)
        rows.append([name, with_ends(whole), with_ends(half), with_ends(more, "+.3f")])
        about = {"claim": "B", "part": part_name, "ranking": ranking, "entries": len(labels)}
        about |= {"score": name}
        table.replace([{**about, "draw": 0, **_measured(score, truth)}], **about)
    known = part.frame.index.isin(labels.index).sum()
    hours = labels["train_s"].sum() / 3600 + labels["eval_s"].sum() / 3600
    note = (
        f"{len(labels)} labels, {hours:.2f} core-hours; {known} of the part's {len(truth)} cells "
        "are among them"
    )
    heads = ["score", "Spearman", "better half", f"Spearman over `{ranking}`"]
    return f"{note}\n\n" + markdown(heads, rows)


def _measured(score: Values, truth: Values) -> dict[str, str]:
    """Return the columns of the table that say how well a score ranks."""
    names = ("spearman", "spearman_better_half")
    return {name: f"{MEASURES[name](score, truth):.4f}" for name in names}


def main() -> None:
    """Print the tables."""
    parser: argparse.ArgumentParser = data_argument(__doc__)
    parser.add_argument("--labels", type=Path, help="run of short real trainings")
    parser.add_argument("--ranking", default=DEFAULT, help="what the forests join")
    parser.add_argument("--tune", action="store_true", help="of claim B alone, on the tune part")
    given = parser.parse_args()
    cells = Cells.load(given.truth)
    name, part = ("tune", cells.tune) if given.tune else ("report", cells.report)
    table = Table("nas_bench_201_predictor")
    print(f"{machine()}; {len(part.frame)} cells, {name} part\n")
    if given.labels is not None:
        print(fitted_to_labels(part, name, given.labels, given.ranking, table), "\n")
    if not given.tune:
        print(fitted_to_table(cells, given.ranking, table))


if __name__ == "__main__":
    main()
