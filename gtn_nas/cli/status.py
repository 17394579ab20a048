"""``gtn-nas status``: show the state of runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gtn_nas.cli.output import as_json, printable, warnings_on_stderr
from gtn_nas.cli.query import RunNames

if TYPE_CHECKING:
    from gtn_nas.results.summary import Summary

MAX_FAILURES = 5
"""Most kinds of failures shown."""

MAX_ERROR = 100
"""Most characters shown of an error."""

FORMATS = ("text", "json")

Format = Annotated[str, typer.Option(help="text, or json for scripts.")]


def status(runs: RunNames, format: Format = "text") -> None:
    """Tell where runs are: state, counts, failures, workers, rate, the best so far, time."""
    from gtn_nas.errors import UnknownNameError
    from gtn_nas.results.locate import find_runs
    from gtn_nas.results.query import Run
    from gtn_nas.results.summary import summarise

    if format not in FORMATS:
        raise UnknownNameError("format", format, FORMATS)
    with warnings_on_stderr():
        found = [summarise(Run(folder)) for folder in find_runs(runs)]
    if format == "json":
        print(as_json([asdict(s) for s in found]))
        return
    print("\n\n".join("\n".join(map(printable, _lines(summary))) for summary in found))


def _lines(s: Summary) -> Iterator[str]:
    """Yield the lines of the text output about one run."""
    yield f"{s.run}: {s.state}" + (f" by {s.holder}" if s.holder else "")
    if s.go_on:
        yield f"  go on with: {s.go_on}"
    done = sum(s.counts.values())
    counts = ", ".join(f"{count} {name}" for name, count in s.counts.items())
    wanted = f" (asked for {s.wanted} candidates)" if s.wanted is not None else ""
    yield f"  evaluations: {done}{wanted}" + (f": {counts}" if counts else "")
    for failure in s.failures[:MAX_FAILURES]:
        example = failure.example[:MAX_ERROR]
        yield f"    {failure.count} {failure.status}" + (f", e.g. {example}" if example else "")
    if len(s.failures) > MAX_FAILURES:
        yield f"    and {len(s.failures) - MAX_FAILURES} further kinds of failures"
    if s.nodes:
        nodes = (f"{n.workers} on {n.node} ({n.evaluations} evaluations)" for n in s.nodes)
        yield f"  workers: {', '.join(nodes)}"
    if s.rate_per_s is not None:
        yield f"  rate: {s.rate_per_s:.3g} evaluations a second"
    if s.best is not None:
        yield f"  best by {s.rank_by}: {_measures(s.best)}"
    if s.finals or s.top_k:
        finals = ", ".join(f"{count} {name}" for name, count in s.finals.items()) or "none yet"
        yield f"  full trainings: {finals}" + (f" (asked for {s.top_k})" if s.top_k else "")
    if s.winner is not None:
        yield f"  winner on validation: {_measures(s.winner)}"
    if s.started_at is not None and s.latest_at is not None:
        yield (
            f"  started {_moment(s.started_at)}, last record {_moment(s.latest_at)} UTC, "
            f"{_duration(s.elapsed_s or 0.0)} in between"
        )


def _measures(values: dict[str, Any]) -> str:
    """Return a network's key and measures on one line."""
    shown = {n: v for n, v in values.items() if v is not None and n not in ("status", "key")}
    measures = (f"{n} {v:.4g}" if isinstance(v, float) else f"{n} {v}" for n, v in shown.items())
    return ", ".join([str(values["key"]), *measures])


def _moment(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}"


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"
