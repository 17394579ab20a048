"""The output of a search: progress while it runs, and tables when it is done."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gtn_nas.cli.output import table_console
from gtn_nas.cli.progress import StageProgress
from gtn_nas.cli.signals import end_on_signals
from gtn_nas.config.class_registry import options_naming
from gtn_nas.errors import StoreError
from gtn_nas.ranking.columns import value_of
from gtn_nas.results.layout import CONFIG
from gtn_nas.trial import Status

if TYPE_CHECKING:
    from gtn_nas.config.search import SearchConfig
    from gtn_nas.ranking.goals import Goals
    from gtn_nas.searching.search import SearchProgress, SearchResult
    from gtn_nas.storage.files import Place
    from gtn_nas.teacher.artifact import TeacherHeader
    from gtn_nas.trial import Final, Record

SHOWN = 10
"""Number of candidates in the table at the end."""

NODES = 4
"""Most nodes listed in the line of progress."""

SHOWN_COLUMNS = ("proxy_accuracy", "proxy_loss", "params", "flops")
"""Columns that a table of candidates always has."""


class SearchDisplay:
    """Shows progress on stderr and tables on stdout; use it as a context manager.

    Args:
        folder: the run folder.
        config: the run's configuration.
        command: name of the command that runs the search.
    """

    def __init__(self, folder: Place, config: SearchConfig, command: str = "search") -> None:
        self.folder, self.config, self.command = folder, config, command
        self._progress = StageProgress()
        self._rate = 0.0

    def __enter__(self) -> Self:
        self._progress.__enter__()
        self._progress.say(f"run folder: {self.folder}")
        return self

    def __exit__(self, kind: type[BaseException] | None, *details: Any) -> None:
        self._progress.__exit__(kind, *details)
        if kind is not None and self._is_kept():
            self._progress.say(self._last_words())

    def _is_kept(self) -> bool:
        try:
            return (self.folder / CONFIG).is_file()
        except StoreError:  # it answered when the search began
            return True

    def _last_words(self) -> str:
        """Return the message that says how to continue the run."""
        words = ["gtn-nas", self.command, "--resume", "--out", str(self.folder)]
        words += options_naming(self.config.model_dump())
        return f"what was evaluated is kept; go on with: {shlex.join(words)}"

    def update(self, progress: SearchProgress) -> None:
        """Show the progress of the search."""
        if progress.stage == "starting":
            end_on_signals(self._last_words())
            if progress.dashboard:
                self._progress.say(f"Ray dashboard: {progress.dashboard}")
            return
        if progress.stage == "finals":
            title, text = "full training, epochs", f"{progress.finals} trained"
        elif progress.stage == "latencies":
            title, text = "latencies", "one after the other"
        else:
            title, text = "candidates", "  ".join([f"{self._rate:.1f}/s", *_state(progress)])
        self._rate = self._progress.update(title, progress.done, progress.total, text)

    def show(self, result: SearchResult, goals: Goals, teacher: TeacherHeader | None) -> None:
        """Print the ranking, the finals, and the paths of the run folder and the weights."""
        out = table_console()
        title = f"candidates by {goals.score}"
        out.print(_ranking_table(result.ranking[:SHOWN], title, goals))
        out.print(_agreement([r for r in result.ranking if goals.eligible(r)]))
        for line in _trust(goals, teacher):
            out.print(line, markup=False, soft_wrap=True)
        if goals.objectives:
            title = f"Pareto front of {goals.score} and {', '.join(goals.objectives)}"
            out.print(_ranking_table(result.front, title, goals))
        if result.finals:
            out.print(_finals_table(result.finals))
            if self.config.predictor or _predicted(result.finals):
                out.print(_predictor(result.finals))
        if result.exhausted:
            out.print("the search space has no further architectures")
        self._print_paths(out, result)

    def _print_paths(self, out: Console, result: SearchResult) -> None:
        run = shlex.quote(str(result.folder))
        lines = [f"run folder: {result.folder}   (gtn-nas query {run} --top 10)"]
        if result.winner is not None and result.winner.weights:
            lines.append(f"weights of the winner: {result.folder / result.winner.weights}")
        for line in lines:
            out.print(line, markup=False, soft_wrap=True)


def _state(progress: SearchProgress) -> list[str]:
    """Return texts about the workers, the failures and the best candidate so far."""
    parts = []
    if progress.load is not None and progress.load.workers:
        counts = progress.load.workers
        total = sum(counts.values())
        workers = f"{total} workers" if total > 1 else "1 worker"
        if len(counts) > 1:
            on = [f"{count} on {node}" for node, count in sorted(counts.items())]
            more = ["..."] if len(on) > NODES else []
            workers += f" ({', '.join(on[:NODES] + more)})"
        parts.append(f"{workers} {progress.load.utilisation:.0%} busy")
    parts += [f"{count} {status}" for status, count in sorted(progress.failures.items())]
    if progress.best is not None and progress.best.proxy_accuracy is not None:
        parts.append(f"best {progress.best.proxy_accuracy:.1%}")
    return parts


def _ranking_table(ranking: list[Record], title: str, goals: Goals) -> Table:
    extra = [name for name in goals.columns if name not in SHOWN_COLUMNS]
    steps = ["steps"] if len({r.budget for r in ranking}) > 1 else []
    columns = ["rank", "key", *steps, "proxy accuracy", "proxy loss", "params", "flops", *extra]
    table = Table(*columns, "status", "architecture", box=None, pad_edge=False)
    table.title, table.title_justify = title, "left"
    for rank, r in enumerate(ranking, start=1):
        measures = [_percent(r.proxy_accuracy), _number(r.proxy_loss)]
        sizes = [f"{size:,}" if size is not None else "-" for size in (r.params, r.flops)]
        more = [_number(value_of(r, name)) for name in extra]
        status = str(r.status) + (", beyond a limit" if _is_beyond(r, goals) else "")
        budget = [str(r.budget)] * len(steps)
        row = [str(rank), r.key, *budget, *measures, *sizes, *more, status, _choices(r.choices)]
        table.add_row(*map(Text, row))
    return table


def _is_beyond(record: Record, goals: Goals) -> bool:
    return record.status is Status.OK and not goals.eligible(record)


def _finals_table(finals: list[Final]) -> Table:
    predicted = ["predicted"] if _predicted(finals) else []
    columns = ["key", "ranked", *predicted, "validation", "test", "params", "epochs", "train s"]
    table = Table("place", *columns, "status", box=None, pad_edge=False)
    table.title, table.title_justify = "fully trained, the winner chosen on validation", "left"
    for place, f in enumerate(finals, start=1):
        accuracies = [_percent(f.validation_accuracy), _percent(f.test_accuracy)]
        size = f"{f.params:,}" if f.params is not None else "-"
        epochs, time_s = str(f.epochs or "-"), _number(f.train_s)
        status = str(f.status) + (f": {f.error}" if f.error else "")
        prediction = [_percent(f.predicted_accuracy)] * len(predicted)
        row = [str(place), f.key, str(f.rank), *prediction, *accuracies, size, epochs, time_s]
        table.add_row(*map(Text, [*row, status]))
    return table


def _predicted(finals: list[Final]) -> list[Final]:
    """Return the finals that the predictor chose."""
    return [f for f in finals if f.predicted_accuracy is not None]


def _predictor(finals: list[Final]) -> str:
    """Return a line on how many finals the predictor chose, and how well it ranked them."""
    from gtn_nas.ranking.statistics import agreement_with_predictions
    from gtn_nas.searching.predictor import LEAST_TRAINED

    chosen = _predicted(finals)
    text = f"chosen by the predictor: {len(chosen)} of {len(finals)} full trainings"
    if not chosen:
        return f"{text}; it starts after {LEAST_TRAINED} that succeed"
    spearman = agreement_with_predictions(chosen)
    if spearman is None:
        return text
    return f"{text}; Spearman of its predictions with their validation accuracies {spearman:+.2f}"


def _agreement(ranking: list[Record]) -> str:
    """Return a line that compares the ranking with one by parameters, a baseline without cost."""
    from gtn_nas.ranking.statistics import agreement_with_size

    found = agreement_with_size(ranking)
    if found is None:
        return "too few candidates to compare the ranking with one by parameters"
    return (
        f"against a ranking by parameters (largest first): Spearman {found.spearman:+.2f} over "
        f"{found.count} candidates, {found.shared} of the best {found.top} in common"
    )


def _trust(goals: Goals, teacher: TeacherHeader | None) -> list[str]:
    """Return lines on how well the teacher ranks, with a warning if parameters rank as well."""
    if teacher is None:
        return []
    if teacher.ranking is None:
        return [
            "how well this teacher ranks was not measured; `gtn-nas validate-proxy` measures it"
        ]
    found = teacher.ranking
    known = found.spearman
    score = str(goals.score) if str(goals.score) in known else "proxy_loss"
    if score not in known:
        return []
    value, low, high = known[score]
    seeds = f", mean of {found.seeds} seeds" if found.seeds > 1 else ""
    lines = [
        f"this teacher ranked {found.count} held-out candidates of {found.space} at Spearman "
        f"{value:+.2f} ({low:+.2f} to {high:+.2f}) by {score}{seeds}; truth: {found.truth}"
    ]
    if "params" in known and known["params"][0] >= value:
        lines.append(
            f"warning: their number of parameters ranked them at {known['params'][0]:+.2f}, and "
            "costs nothing: --rank-by params"
        )
    return lines


def _choices(text: str) -> str:
    short = " ".join(f"{name}={value}" for name, value in json.loads(text).items())
    return short if len(short) <= 60 else f"{short[:59]}…"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
