"""Whether a ranking can be trusted: proxies of random architectures beside their truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from gtn_nas.config.validate import ValidateConfig
from gtn_nas.errors import ConfigError
from gtn_nas.proxies.names import SIZES, TRAINED, ZERO_COST
from gtn_nas.ranking.score import Score
from gtn_nas.ranking.statistics import MEASURES, Interval, with_interval
from gtn_nas.searching.search import OnProgress, Search
from gtn_nas.spaces import get_space
from gtn_nas.storage.files import Place, whole_file
from gtn_nas.teacher.artifact import (
    MeasuredRanking,
    read_header,
    replace_header,
    resolve_teacher,
)
from gtn_nas.trial import Final, Record, Status
from gtn_nas.validation.known_accuracies import Truth, load_truth

LEAST = 10
"""Architectures with both scores and truth, below which nothing is said."""
TABLE = "validation.parquet"
FIGURE = "validation.png"


@dataclass(frozen=True)
class Standing:
    """How well one score ranks.

    Attributes:
        score: what ranks.
        measures: each of ``rank_statistics.MEASURES`` with its interval.
        seconds: mean seconds of its proxy per architecture; ``None`` where they are not measured.
            Zero-cost proxies share theirs.
    """

    score: Score
    measures: dict[str, Interval]
    seconds: float | None


@dataclass(frozen=True)
class Findings:
    """What a validation found.

    Attributes:
        folder: the run folder.
        truth: what counts as truth, in words.
        standings: every score, the best by Spearman first.
        count: architectures with truth.
        merged: rows of the table left out, since an earlier one has an equal network.
    """

    folder: Place
    truth: str
    standings: list[Standing]
    count: int
    merged: int


class Validation:
    """A search whose candidates are drawn at random, and all of which have a truth.

    It is a run like any other: it can be queried, and resumed after a kill.

    Args:
        config: what to validate.
        resume: continue the run in ``config.out``.

    Raises:
        GtnNasError: the input is wrong.
    """

    def __init__(self, config: ValidateConfig, *, resume: bool = False) -> None:
        self.config = config
        self.truth = self._table()
        # All of them are fully trained, unless a table tells how that came out.
        top_k = config.candidates if self.truth is None else 0
        listed = None if self.truth is None else self.truth.architectures
        count = config.candidates if listed is None else len(listed)
        if count < LEAST:
            raise ConfigError(
                f"{count} architectures with truth are too few to judge a ranking; {LEAST} or more "
                "are needed"
            )
        asked = config.model_copy(update={"top_k": top_k, "candidates": count})
        self.search = Search(asked, resume=resume, architectures=listed)

    def run(self, on_progress: OnProgress) -> Findings:
        """Score all architectures, find out their truth, compare, and write table and figure."""
        result = self.search.run(on_progress)
        known = self._known(result.finals)
        records = [r for r in result.ranking if r.key in known]
        if len(records) < LEAST:
            raise ConfigError(
                f"only {len(records)} architectures have both scores and truth; {LEAST} or more "
                f"are needed; see `gtn-nas query {result.folder}`"
            )
        truths = [known[r.key] for r in records]
        standings = [standing(name, records, truths) for name in self._scores(records)]
        standings.sort(key=lambda s: -s.measures["spearman"].value)
        merged = 0 if self.truth is None else self.truth.merged
        findings = Findings(result.folder, self._words(), standings, len(records), merged)
        write_table(findings)
        draw(findings, records, truths)
        return findings

    def tell_teacher(self, findings: Findings) -> Path:
        """Write what was found into the header of the teacher's file, and return that.

        Raises:
            TeacherError: the file is no teacher.
            EnvironmentFailure: it cannot be written.
        """
        path = resolve_teacher(str(self.config.teacher))
        spearman = {str(s.score): s.measures["spearman"] for s in findings.standings}
        ranking = MeasuredRanking(
            truth=findings.truth,
            space=self.config.space,
            count=findings.count,
            seeds=self.search.evaluation.settings.seeds,
            spearman={n: (i.value, i.low, i.high) for n, i in spearman.items()},
        )
        replace_header(path, read_header(path).model_copy(update={"ranking": ranking}))
        return path

    def _table(self) -> Truth | None:
        config = self.config
        if config.truth is None:
            return None
        space = get_space(config.space)
        table = load_truth(config.truth, config.arch_column, config.truth_column, space)
        return table.sample(config.candidates, config.seed)

    def _known(self, finals: Sequence[Final]) -> dict[str, float]:
        """Return the truths by key."""
        if self.truth is not None:
            keys = (architecture.key for architecture in self.truth.architectures)
            return dict(zip(keys, self.truth.accuracies, strict=True))
        done = (f for f in finals if f.status is Status.OK and f.test_accuracy is not None)
        return {f.key: f.test_accuracy for f in done if f.test_accuracy is not None}

    def _scores(self, records: Sequence[Record]) -> list[Score]:
        """Return every score that the records have, the run's own among them."""
        wanted = self.search.evaluation.proxies
        columns = [c for name in wanted for c in TRAINED.get(name, (name,))]
        single = (Score((name,)) for name in (*columns, *SIZES))
        return list(dict.fromkeys([self.search.goals.score, *single]))

    def _words(self) -> str:
        config = self.config
        if config.truth is not None:
            return f"{config.truth_column} of {config.truth.name}"
        return f"test accuracy after {config.final_epochs} epochs"


def standing(score: Score, records: Sequence[Record], truths: Sequence[float]) -> Standing:
    """Compare one score with the truth."""
    import numpy as np

    values, truth = -np.array(score.ranks(records)), np.array(truths)
    measures = {n: with_interval(measure, values, truth) for n, measure in MEASURES.items()}
    return Standing(score, measures, _seconds(score, records))


def _seconds(score: Score, records: Sequence[Record]) -> float | None:
    """Return the mean seconds of all proxies that a score needs."""
    columns = {c: f"{name}_s" for name, filled in TRAINED.items() for c in filled}
    # Its one more score is a part of what gtn takes.
    columns |= {"gtn_improvement": "gtn_s", **dict.fromkeys(ZERO_COST, "zero_cost_s")}
    needed = {columns[c] for c in score.columns if c in columns}
    if not needed:
        return None
    return sum(fmean([r.extra.get(name) or 0.0 for r in records]) for name in needed)


def write_table(findings: Findings) -> None:
    """Write one row for each score and measure into the run folder."""
    import pyarrow as pa
    from pyarrow import parquet

    rows = [
        {
            "score": str(s.score),
            "measure": name,
            "value": found.value,
            "low": found.low,
            "high": found.high,
            "n": findings.count,
            "seconds_per_architecture": s.seconds,
            "truth": findings.truth,
        }
        for s in findings.standings
        for name, found in s.measures.items()
    ]
    with whole_file(findings.folder / TABLE) as file:
        parquet.write_table(pa.Table.from_pylist(rows), file)


def draw(findings: Findings, records: Sequence[Record], truths: Sequence[float]) -> None:
    """Draw every score's ranks against the truth into the run folder."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = 4
    rows = -(-len(findings.standings) // columns)
    figure = Figure(figsize=(3 * columns, 2.6 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for place, found in enumerate(findings.standings, start=1):
        axes = figure.add_subplot(rows, columns, place)
        ranks = found.score.ranks(records)
        axes.scatter(ranks, [100 * t for t in truths], s=6, alpha=0.6)
        axes.invert_xaxis()  # the best rank stands on the right
        axes.set_title(f"{found.score}: {found.measures['spearman'].value:+.2f}", fontsize=9)
        axes.tick_params(labelsize=7)
    figure.supxlabel("rank by the score, the best on the right", fontsize=9)
    figure.supylabel(f"{findings.truth}, %", fontsize=9)
    with whole_file(findings.folder / FIGURE) as file:
        figure.savefig(file, format="png", dpi=120)
