"""The contents of a run at one moment, as far as a report shows them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from gtn_nas.proxies.catalogue import SIZES
from gtn_nas.ranking.score import Score
from gtn_nas.results.query import Run
from gtn_nas.results.settings import Ranking
from gtn_nas.trial import Status

Row = dict[str, Any]

COSTS = ("params", "flops", "latency_ms")
"""Columns that are weighed against accuracy in Pareto fronts."""

EVALUATIONS = (
    "SELECT key, budget, status, worker, node, train_s, eval_s, device, threads, torch_version, "
    "created_at FROM candidates ORDER BY tell_index"
)
EVENTS = (
    "SELECT kind, key, details, created_at FROM events "
    "WHERE kind NOT IN ('ask', 'batch', 'reuse') ORDER BY created_at"
)


@dataclass(frozen=True)
class Snapshot:
    """The contents of a run at one moment.

    Attributes:
        name: the run's name.
        config: the run's settings as its file holds them, not validated.
        score: the score that candidates are ranked by.
        columns: names of the candidates' columns.
        candidates: one row for each candidate, best first.
        evaluations: a row for each evaluation, including smaller budgets, in the order in which
            they ended.
        finals: the best full training of each network, best on validation images first.
        events: events except those of kind ``ask``, ``batch`` and ``reuse``; ``details`` is a
            mapping.
        measure: the column that stands for accuracy before any full training, if there is one.
        fronts: for each cost, the keys of candidates on the Pareto front of measure and cost.
        skipped: messages about part files that could not be read.
    """

    name: str
    config: Mapping[str, Any]
    score: Score
    columns: list[str]
    candidates: list[Row]
    evaluations: list[Row]
    finals: list[Row]
    events: list[Row]
    measure: str | None
    fronts: Mapping[str, list[str]]
    skipped: list[str]

    @property
    def score_columns(self) -> list[str]:
        """The columns of the score that the candidates have."""
        return self.score.among(self.columns)

    @property
    def trained(self) -> list[Row]:
        """The full trainings that succeeded, best on validation images first."""
        return [final for final in self.finals if final["status"] == Status.OK]

    @property
    def winner(self) -> Row | None:
        """The full training that is best on validation images, or ``None``."""
        return next(iter(self.trained), None)

    @cached_property
    def about(self) -> Mapping[str, Any]:
        """What the run recorded at its latest start or resume: fingerprints, classes, versions."""
        begun = [event for event in self.events if event["kind"] in ("start", "resume")]
        return begun[-1]["details"] if begun else {}

    @property
    def ended(self) -> bool:
        """Whether the run has ended since its latest start or resume."""
        kinds = [e["kind"] for e in self.events if e["kind"] in ("start", "resume", "end")]
        return kinds[-1:] == ["end"]

    @cached_property
    def times(self) -> tuple[datetime, datetime] | None:
        """The times of the earliest and the latest row; ``None`` if there are no rows."""
        rows = [*self.events, *self.evaluations, *self.finals]
        moments = [row["created_at"] for row in rows if row["created_at"] is not None]
        return (min(moments), max(moments)) if moments else None

    def at_s(self, row: Row) -> float:
        """Return the seconds from the run's earliest row to this one."""
        if self.times is None or row["created_at"] is None:
            return 0.0
        return float((row["created_at"] - self.times[0]).total_seconds())


def read(run: Run) -> Snapshot:
    """Read a run. If it is being written, one table may be slightly older than another.

    Raises:
        GtnNasError: the configuration or the run's columns cannot be read.
    """
    config, score = run.config, Ranking.of(run.config).score
    columns, rows = run.rows()
    candidates = [dict(zip(columns, row, strict=True)) for row in rows]
    measure = _measure(candidates, ["proxy_accuracy", *score.among(columns)])
    return Snapshot(
        name=run.name,
        config=config,
        score=score,
        columns=columns,
        candidates=candidates,
        evaluations=run.sql(EVALUATIONS),
        finals=run.best_finals(),
        events=[event | {"details": mapping(event["details"])} for event in run.sql(EVENTS)],
        measure=measure,
        fronts=_fronts(run, measure, candidates),
        skipped=run.skipped,
    )


def number(value: Any) -> float | None:
    """Return a finite number, floats rounded to six digits; ``None`` for anything else."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value if isinstance(value, int) else float(f"{value:.6g}")


def mapping(text: Any) -> dict[str, Any]:
    """Parse a JSON object; return an empty one for anything else."""
    try:
        value = json.loads(text)
    except (TypeError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _measure(candidates: list[Row], columns: Sequence[str]) -> str | None:
    """Return the first of the columns that holds a number and is not a size of the network."""
    known = (name for name in columns if name not in SIZES)
    return next((n for n in known if any(number(c[n]) is not None for c in candidates)), None)


def _fronts(run: Run, measure: str | None, candidates: list[Row]) -> dict[str, list[str]]:
    if measure is None:
        return {}
    costs = [c for c in COSTS if any(number(row.get(c)) is not None for row in candidates)]
    return {
        cost: [row["key"] for row in run.query(columns=["key"], pareto=[measure, cost])]
        for cost in costs
    }
