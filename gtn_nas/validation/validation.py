"""How well proxies rank: their scores of random architectures, compared with the true accuracies.

The true accuracy of an architecture is that in a table, or that after a full training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from gtn_nas.config.validate import ValidateConfig
from gtn_nas.errors import ConfigError
from gtn_nas.proxies.catalogue import ALL, COMPARED, SIZES, columns_of, cost_columns_of
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
from gtn_nas.validation.known_accuracies import KnownAccuracies, load_known_accuracies

MIN_ARCHITECTURES = 10
"""Fewest architectures with scores and a true accuracy; fewer are refused."""
TABLE = "validation.parquet"
"""Name of the table in the run folder."""
FIGURE = "validation.png"
"""Name of the figure in the run folder."""


@dataclass(frozen=True)
class MeasuredScore:
    """How well one score ranks.

    Attributes:
        score: what ranks.
        measures: each of ``statistics.MEASURES``, with its interval.
        seconds: mean seconds per architecture of the proxies that fill the score's columns.
            Proxies that are computed together share their seconds. ``None`` if no proxy is needed.
    """

    score: Score
    measures: dict[str, Interval]
    seconds: float | None


@dataclass(frozen=True)
class Findings:
    """What a validation found.

    Attributes:
        folder: the run folder.
        truth: what the true accuracies are, in words.
        scores: how well each score ranks, the highest Spearman correlation first.
        count: number of architectures with scores and a true accuracy.
        merged: number of rows of the table left out since an earlier row has an equal network.
    """

    folder: Place
    truth: str
    scores: list[MeasuredScore]
    count: int
    merged: int


class Validation:
    """A search over random candidates, each of which has a true accuracy.

    Its run folder is that of a search: it can be queried, and resumed after a kill.

    Args:
        config: what to validate.
        resume: continue the run in ``config.out``.

    Raises:
        GtnNasError: the input is wrong.
    """

    def __init__(self, config: ValidateConfig, *, resume: bool = False) -> None:
        self.config = config
        self.table = self._table()
        # Without a table of accuracies, all candidates are fully trained.
        top_k = config.candidates if self.table is None else 0
        listed = None if self.table is None else self.table.architectures
        count = config.candidates if listed is None else len(listed)
        if count < MIN_ARCHITECTURES:
            raise ConfigError(
                f"{count} architectures with truth are too few to judge a ranking; "
                f"{MIN_ARCHITECTURES} or more are needed"
            )
        proxies = [n for name in config.proxies for n in (COMPARED if name == ALL else (name,))]
        changes = {"top_k": top_k, "candidates": count, "proxies": tuple(dict.fromkeys(proxies))}
        asked = config.model_copy(update=changes)
        self.search = Search(asked, resume=resume, architectures=listed)

    def run(self, on_progress: OnProgress) -> Findings:
        """Score all architectures, compare with their accuracies, and write table and figure.

        Args:
            on_progress: called as results arrive, in this thread.

        Raises:
            GtnNasError: too few architectures have both, or the environment failed.
        """
        result = self.search.run(on_progress)
        known = self._known(result.finals)
        records = [r for r in result.ranking if r.key in known]
        if len(records) < MIN_ARCHITECTURES:
            raise ConfigError(
                f"only {len(records)} architectures have both scores and truth; "
                f"{MIN_ARCHITECTURES} or more are needed; see `gtn-nas query {result.folder}`"
            )
        accuracies = [known[r.key] for r in records]
        scores = [measured_score(name, records, accuracies) for name in self._scores()]
        scores.sort(key=lambda s: -s.measures["spearman"].value)
        merged = 0 if self.table is None else self.table.merged
        findings = Findings(result.folder, self._words(), scores, len(records), merged)
        write_table(findings)
        draw(findings, records, accuracies)
        return findings

    def tell_teacher(self, findings: Findings) -> Path:
        """Write the correlations into the header of the teacher's file, and return its path.

        Raises:
            TeacherError: the file is no teacher.
            EnvironmentFailure: it cannot be written.
        """
        path = resolve_teacher(str(self.config.teacher))
        spearman = {str(s.score): s.measures["spearman"] for s in findings.scores}
        ranking = MeasuredRanking(
            truth=findings.truth,
            space=self.config.space,
            count=findings.count,
            seeds=self.search.evaluation.settings.seeds,
            spearman={n: (i.value, i.low, i.high) for n, i in spearman.items()},
        )
        replace_header(path, read_header(path).model_copy(update={"ranking": ranking}))
        return path

    def _table(self) -> KnownAccuracies | None:
        config = self.config
        if config.truth is None:
            return None
        space = get_space(config.space)
        table = load_known_accuracies(config.truth, config.arch_column, config.truth_column, space)
        return table.sample(config.candidates, config.seed)

    def _known(self, finals: Sequence[Final]) -> dict[str, float]:
        """Return the true accuracies by key of the architecture."""
        if self.table is not None:
            keys = (architecture.key for architecture in self.table.architectures)
            return dict(zip(keys, self.table.accuracies, strict=True))
        done = (f for f in finals if f.status is Status.OK and f.test_accuracy is not None)
        return {f.key: f.test_accuracy for f in done if f.test_accuracy is not None}

    def _scores(self) -> list[Score]:
        """Return the scores to compare: the run's own, those of its proxies, and the sizes."""
        columns = (*columns_of(self.search.evaluation.proxies), *SIZES)
        return list(dict.fromkeys([self.search.goals.score, *(Score((n,)) for n in columns)]))

    def _words(self) -> str:
        config = self.config
        if config.truth is not None:
            return f"{config.truth_column} of {config.truth.name}"
        return f"test accuracy after {config.final_epochs} epochs"


def measured_score(
    score: Score, records: Sequence[Record], accuracies: Sequence[float]
) -> MeasuredScore:
    """Measure how well one score ranks architectures whose true accuracies are known."""
    import numpy as np

    values, truth = -np.array(score.ranks(records)), np.array(accuracies)
    measures = {n: with_interval(measure, values, truth) for n, measure in MEASURES.items()}
    return MeasuredScore(score, measures, _seconds(score, records))


def _seconds(score: Score, records: Sequence[Record]) -> float | None:
    """Return the mean seconds of all proxies that fill a score's columns, if it needs any."""
    costs = cost_columns_of(score.columns)
    if not costs:
        return None
    return sum(fmean([r.extra.get(name) or 0.0 for r in records]) for name in costs)


def write_table(findings: Findings) -> None:
    """Write a table with a row for each score and measure into the run folder."""
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
        for s in findings.scores
        for name, found in s.measures.items()
    ]
    with whole_file(findings.folder / TABLE) as file:
        parquet.write_table(pa.Table.from_pylist(rows), file)


def draw(findings: Findings, records: Sequence[Record], accuracies: Sequence[float]) -> None:
    """Draw the true accuracies over the ranks by each score, into the run folder."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = 4
    rows = -(-len(findings.scores) // columns)
    figure = Figure(figsize=(3 * columns, 2.6 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for place, found in enumerate(findings.scores, start=1):
        axes = figure.add_subplot(rows, columns, place)
        ranks = found.score.ranks(records)
        axes.scatter(ranks, [100 * t for t in accuracies], s=6, alpha=0.6)
        axes.invert_xaxis()  # the best rank stands on the right
        axes.set_title(f"{found.score}: {found.measures['spearman'].value:+.2f}", fontsize=9)
        axes.tick_params(labelsize=7)
    figure.supxlabel("rank by the score, the best on the right", fontsize=9)
    figure.supylabel(f"{findings.truth}, %", fontsize=9)
    with whole_file(findings.folder / FIGURE) as file:
        figure.savefig(file, format="png", dpi=120)
