"""What does a search find, for each strategy, with NAS-Bench-201 telling how trainings came out?

``python -m experiments.studies.nas_bench_201_search --truth cells_dev.csv`` lets the package's
strategies ask for 300 candidates each, by stored scores. Cells without a truth are asked for again,
alike for all. The ten best by the ranking are looked at; the one with the best validation accuracy
is the winner, and its test accuracy counts. Regret is what the best cell of the table has more, in
points. ``--rank-by`` takes the names of scores in the table, with the seed that they were computed
with; one that ends in ``?`` is the mean over seeds: ``jacob_cov@alike*params*proxy_loss@alike-?``.
Every search is kept in the table, so it can be killed and goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd

from experiments.shared.intervals import mean_with_interval
from experiments.shared.machine import machine
from experiments.shared.nas_bench_201 import TRUTH, VALIDATION, Cells, column_of, data_argument
from experiments.shared.tables import Table, markdown, with_ends
from gtn_nas.ranking.columns import lower_ranks_first
from gtn_nas.ranking.goals import Goals
from gtn_nas.ranking.score import Score
from gtn_nas.searching.default_ranking import RANK_BY
from gtn_nas.searching.steering import strategy_context
from gtn_nas.spaces.nas_bench_201 import NasBench201
from gtn_nas.strategies import STRATEGIES, get_strategy
from gtn_nas.strategies.base import Strategy
from gtn_nas.trial import Record, Status, Trial

CANDIDATES = 300
LOOKS = 10
BUDGET = 32
ASKS = 200_000
"""Asks after which a strategy that finds nothing new is given up."""


@dataclass(frozen=True)
class Found:
    """How a search came out.

    Attributes:
        regret: of the winner, in points of test accuracy.
        oracle: of the candidate with the best validation accuracy of all.
        candidates: distinct ones with a truth.
    """

    regret: float
    oracle: float
    candidates: int


class Stored:
    """What was measured of each cell, by its key.

    Args:
        cells: with truth and scores.
        goals: whose columns are needed.
    """

    def __init__(self, cells: pd.DataFrame, goals: Goals) -> None:
        self.test, self.validation = cells[TRUTH].to_dict(), cells[VALIDATION].to_dict()
        self.scores = cells[list(goals.columns)].to_dict("index")
        self.params = cells["params"].to_dict()

    def record(self, trial: Trial) -> Record:
        """Return what a worker would have found."""
        key = trial.architecture.key
        scores = {str(n): float(v) for n, v in self.scores[key].items() if np.isfinite(v)}
        return replace(Record.of(trial, Status.OK), params=int(self.params[key]), extra=scores)


def search(strategy: Strategy, table: Stored, goals: Goals) -> Found:
    """Let a strategy ask for candidates, and look at the best of them."""
    records: dict[str, Record] = {}
    for _ in range(ASKS):
        if len(records) == CANDIDATES:
            break
        (trial,) = strategy.ask(1)
        if trial.architecture.key not in table.scores:
            continue
        record = table.record(trial)
        records[record.key] = record
        strategy.tell([record])
    test, validation = table.test, table.validation
    looked = [r.key for r in goals.ranked(records.values())[:LOOKS]]
    winner, best = (max(keys, key=validation.__getitem__) for keys in (looked, list(records)))
    top = max(test.values())
    return Found(top - test[winner], top - test[best], len(records))


def ranking(cells: Cells, rank_by: str) -> tuple[Goals, pd.DataFrame]:
    """Return what ranks as a search knows it, and the cells with the scores under those names.

    Args:
        cells: with scores under the table's names.
        rank_by: of those names.
    """
    score = Score.parse(rank_by)
    names = {column_of(name): name for name in score.columns}
    scores = {
        column: -cells.score(name) if lower_ranks_first(column) else cells.score(name)
        for column, name in names.items()
    }
    return Goals(replace(score, columns=tuple(names))), cells.frame.assign(**scores)


def main() -> None:
    """Search with every strategy and seed, and print the table."""
    parser = data_argument(__doc__)
    parser.add_argument("--rank-by", default=RANK_BY)
    parser.add_argument("--seeds", type=int, default=10, help="searches of each, 2 or more")
    names = list(STRATEGIES)
    parser.add_argument("--strategies", nargs="+", choices=names, default=names)
    given = parser.parse_args()
    if given.seeds < 2:
        parser.error("--seeds: an interval needs 2 or more")
    goals, frame = ranking(Cells.load(given.truth), given.rank_by)
    cells = Stored(frame, goals)
    print(f"{machine()}; ranked by {given.rank_by}, {given.seeds} seeds, {len(cells.test)} cells\n")
    table, rows = Table("nas_bench_201_search"), []
    for name in given.strategies:
        about = {"rank_by": given.rank_by, "strategy": name}
        for seed in range(given.seeds):
            if not table.has(**about, seed=seed):
                context = strategy_context(NasBench201(), BUDGET, seed, goals)
                found = search(get_strategy(name)(context), cells, goals)
                table.add({**about, "seed": seed, **asdict(found)})
        own = [row for row in table.where(**about) if int(row["seed"]) < given.seeds]
        rows.append([name, *summary(own)])
    print(
        markdown(["strategy", "regret", "oracle's", "excess over its oracle", "candidates"], rows)
    )


def summary(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Return means with intervals over seeds, and the fewest candidates."""
    regrets, oracles = ([float(row[name]) for row in rows] for name in ("regret", "oracle"))
    excess = [a - b for a, b in zip(regrets, oracles, strict=True)]
    means = [with_ends(mean_with_interval(values)) for values in (regrets, oracles, excess)]
    return [*means, str(min(int(row["candidates"]) for row in rows))]


if __name__ == "__main__":
    main()
