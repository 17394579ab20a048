"""The progress of a run: its state, counts, speed, and the best candidate so far."""

# ruff: noqa: S608 - every query is our own
from __future__ import annotations

import json
import shlex
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from gtn_nas.config.class_registry import options_naming
from gtn_nas.results.holder import Holder
from gtn_nas.results.lock import holder_of
from gtn_nas.results.query import Run
from gtn_nas.results.settings import Ranking
from gtn_nas.trial import Status

SESSION = ("start", "resume")
"""The events that begin a session: a command that writes the run records one of them first."""


class State(StrEnum):
    """Whether a run is being written, has ended, or was interrupted."""

    RUNNING = "running"
    ENDED = "ended"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Failures:
    """Failed evaluations with the same status and class of error.

    Attributes:
        status: status of the evaluations.
        kind: class of the error.
        count: number of the evaluations.
        example: the whole message of the first error.
    """

    status: str
    kind: str
    count: int
    example: str


@dataclass(frozen=True)
class Node:
    """The work of one machine in a run.

    Attributes:
        node: name of the machine.
        workers: number of its workers: while the run is running, those that are present now; later,
            those that evaluated a candidate since the latest start or resume.
        evaluations: number of evaluations on the machine in the whole run.
    """

    node: str
    workers: int
    evaluations: int


@dataclass(frozen=True)
class Summary:
    """The progress of a run.

    Attributes:
        run: the run's folder or URI.
        state: whether the run is being written, has ended, or was interrupted.
        holder: the process that writes the run, if any.
        go_on: the command that continues the run, if it was interrupted.
        wanted: number of candidates to evaluate, if the configuration has it.
        counts: number of evaluations by status.
        failures: failed evaluations in groups, largest group first.
        nodes: machines, busiest first.
        rate_per_s: evaluations per second since the latest start or resume.
        rank_by: the score that candidates are ranked by.
        best: key, scores, parameters and status of the best candidate so far.
        top_k: number of full trainings to run, if the configuration has it.
        finals: number of full trainings by status.
        winner: key, test and validation accuracy, parameters and weights file of the full training
            that is best on validation images.
        started_at: time of the run's first start, in UTC.
        latest_at: time of the latest row in the run's tables, in UTC.
        elapsed_s: seconds from ``started_at`` to ``latest_at``, interruptions included.
    """

    run: str
    state: State
    holder: Holder | None
    go_on: str | None
    wanted: int | None
    counts: dict[str, int]
    failures: list[Failures]
    nodes: list[Node]
    rate_per_s: float | None
    rank_by: str
    best: dict[str, Any] | None
    top_k: int | None
    finals: dict[str, int]
    winner: dict[str, Any] | None
    started_at: datetime | None
    latest_at: datetime | None
    elapsed_s: float | None


def summarise(run: Run) -> Summary:
    """Summarise a run, which may still be running.

    Raises:
        RunFolderError: the run's configuration is damaged.
        StoreError: the bucket does not answer.
    """
    config, ranking = run.config, Ranking.of(run.config)
    # The lock is checked before the events are read: if the run ends in between, it still shows
    # as running. In the other order, it would show as interrupted.
    holder = holder_of(run.folder)
    begun = run.sql(
        "SELECT min(created_at) AS first, max(created_at) AS last FROM events "
        f"WHERE kind IN {SESSION}"
    )[0]
    state = _state(run, holder)
    latest_at = _latest(run)
    return Summary(
        run=str(run.folder),
        state=state,
        holder=holder,
        go_on=_go_on(run, config) if state is State.INTERRUPTED else None,
        wanted=_number(config.get("candidates")),
        counts=_counts(run, "candidates"),
        failures=_failures(run),
        nodes=_nodes(run, begun["last"], running=state is State.RUNNING),
        rate_per_s=_rate(run, begun["last"]),
        rank_by=str(ranking.score),
        best=_best(run, ranking),
        top_k=_number(config.get("top_k")),
        finals=_counts(run, "finals"),
        winner=_winner_row(run),
        started_at=begun["first"],
        latest_at=latest_at,
        elapsed_s=_seconds(begun["first"], latest_at),
    )


def is_running(run: Run) -> bool:
    """Tell whether a run is being written."""
    return holder_of(run.folder) is not None


def _state(run: Run, holder: Holder | None) -> State:
    if holder is not None:
        return State.RUNNING
    kinds = run.sql(
        f"SELECT kind FROM events WHERE kind IN {(*SESSION, 'end')} "
        "ORDER BY created_at DESC LIMIT 1"
    )
    return State.ENDED if kinds and kinds[0]["kind"] == "end" else State.INTERRUPTED


def _go_on(run: Run, config: dict[str, Any]) -> str:
    """Return the command that continues a run."""
    # Only validate-proxy has the setting truth_column.
    command = "validate-proxy" if "truth_column" in config else "search"
    words = ["gtn-nas", command, "--resume", "--out", str(run.folder), *options_naming(config)]
    return shlex.join(words)


def _latest(run: Run) -> datetime | None:
    tables = ("candidates", "finals", "events")
    times = [run.sql(f"SELECT max(created_at) AS t FROM {t}")[0]["t"] for t in tables]
    return max((time for time in times if time is not None), default=None)


def _counts(run: Run, table: str) -> dict[str, int]:
    rows = run.sql(
        f"SELECT status, count(*) AS n FROM {table} GROUP BY status ORDER BY n DESC, status"
    )
    return {str(row["status"]): row["n"] for row in rows}


def _failures(run: Run) -> list[Failures]:
    """Return failures by status and class of error, which is the first word of its message."""
    rows = run.sql(
        "SELECT status, regexp_extract(coalesce(error, ''), '^[A-Za-z_.]*') AS kind, "
        "count(*) AS n, arg_min(error, tell_index) AS example FROM candidates "
        f"WHERE status <> '{Status.OK}' GROUP BY ALL ORDER BY n DESC, status, kind"
    )
    return [Failures(r["status"], r["kind"], r["n"], r["example"] or "") for r in rows]


def _nodes(run: Run, since: datetime | None, *, running: bool) -> list[Node]:
    rows = run.sql(
        "SELECT node, worker, count(*) AS n, max(created_at) AS last FROM candidates GROUP BY ALL"
    )
    evaluations: Counter[str] = Counter()
    workers: dict[str, set[str]] = {}
    for row in rows:
        evaluations[row["node"]] += row["n"]
        if since is None or row["last"] >= since:
            workers.setdefault(row["node"], set()).add(row["worker"])
    if running:
        workers = _at_work(run, since) or workers
    names = {*evaluations, *workers}
    found = [Node(n or "-", len(workers.get(n, ())), evaluations[n]) for n in names]
    return sorted(found, key=lambda node: (-node.workers, -node.evaluations, node.node))


def _at_work(run: Run, since: datetime | None) -> dict[str, set[str]]:
    """Return the workers that joined and have not left, by node; empty for a run without Ray."""
    workers: dict[str, set[str]] = {}
    events = run.sql(
        "SELECT kind, details, created_at FROM events WHERE kind LIKE 'worker_%' "
        "ORDER BY created_at"
    )
    for event in events:
        if since is not None and event["created_at"] < since:
            continue
        details = json.loads(event["details"])
        node, worker = str(details.get("node")), str(details.get("worker"))
        if event["kind"] == "worker_joined":
            workers.setdefault(node, set()).add(worker)
        else:
            workers.get(node, set()).discard(worker)
    return {node: names for node, names in workers.items() if names}


def _rate(run: Run, since: datetime | None) -> float | None:
    if since is None:
        return None
    row = run.sql(
        "SELECT count(*) AS n, max(created_at) AS last FROM candidates "
        f"WHERE created_at >= '{since:%Y-%m-%d %H:%M:%S.%f}'"
    )[0]
    seconds = _seconds(since, row["last"])
    return row["n"] / seconds if seconds else None


def _best(run: Run, ranking: Ranking) -> dict[str, Any] | None:
    """Return the best candidate that succeeded, with the columns that a summary shows."""
    columns, _ = run.rows(top=0)
    names = dict.fromkeys(
        ["key", *ranking.score.among(columns), "proxy_accuracy", "params", "status"]
    )
    rows = run.query(top=1, where=f"status = '{Status.OK}'", columns=list(names))
    return rows[0] if rows else None


def _winner_row(run: Run) -> dict[str, Any] | None:
    """Return the winner, with the columns that a summary shows."""
    winner = run.winner
    names = ("key", "validation_accuracy", "test_accuracy", "params", "weights")
    return winner and {name: winner[name] for name in names}


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _seconds(first: datetime | None, last: datetime | None) -> float | None:
    return (last - first).total_seconds() if first is not None and last is not None else None
