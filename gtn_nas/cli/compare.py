"""``gtn-nas compare``: compare two runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from gtn_nas.cli.output import as_json, printable, warnings_on_stderr
from gtn_nas.cli.status import FORMATS, Format

if TYPE_CHECKING:
    from gtn_nas.results.comparison import Comparison, Verdict

MAX_VALUE = 60
"""Most characters shown of a setting."""

RunName = typer.Argument(metavar="RUN", help="Run folder, or a URI like s3://bucket/runs/x.")


def compare(
    first: Annotated[str, RunName],
    second: Annotated[str, RunName],
    top: Annotated[
        int, typer.Option(min=1, help="How many of the best are looked for in the other run.")
    ] = 10,
    format: Format = "text",
) -> None:
    """Tell what differs between two runs, and who found the better network."""
    from gtn_nas.errors import UnknownNameError
    from gtn_nas.results import comparison
    from gtn_nas.results.query import load_run

    if format not in FORMATS:
        raise UnknownNameError("format", format, FORMATS)
    with warnings_on_stderr():
        found = comparison.compare(load_run(first), load_run(second), top)
    if format == "json":
        print(as_json(asdict(found)))
        return
    print("\n".join(map(printable, _lines(found))))


def _lines(c: Comparison) -> Iterator[str]:
    """Yield the lines of the text output."""
    yield f"1: {c.runs[0]}"
    yield f"2: {c.runs[1]}"
    yield "what differs, 1 | 2:" if c.settings or c.facts else "their settings are the same"
    for name, (one, other) in {**c.settings, **c.facts}.items():
        yield f"  {name}: {_short(one)} | {_short(other)}"
    yield f"full trainings: {_verdict(c.by_validation)}"
    yield f"candidates: {_verdict(c.by_score)}"
    yield (
        f"evaluated well: {c.evaluated[0]} and {c.evaluated[1]} candidates, {c.shared} of them in "
        f"both; of the best {c.top} of each, {c.top_shared} are in both"
    )
    if c.spearman is None:
        yield "too few candidates in both for a rank correlation"
    else:
        yield f"Spearman of the two rankings on what is in both: {c.spearman:+.2f}"


def _verdict(verdict: Verdict) -> str:
    if verdict.why_not:
        return f"cannot be compared by {verdict.measure}: {verdict.why_not}"
    bests = []
    for key, value in filter(None, (verdict.first, verdict.second)):
        bests.append(key if value is None else f"{key} with {value:.4g}")
    shown = f"{bests[0]} in 1, {bests[1]} in 2" if len(set(bests)) > 1 else f"{bests[0]} in both"
    who = "both are even" if verdict.better is None else f"{verdict.better} found the better one"
    return f"by {verdict.measure}, {who} ({shown})"


def _short(value: object) -> str:
    text = "-" if value is None else str(value)
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 1]}…"
