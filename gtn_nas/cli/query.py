"""``gtn-nas query``: look at a run's candidates."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

COLUMNS = ("key", "proxy_accuracy", "proxy_loss", "params", "flops", "status", "choices")
"""What a table shows unless told otherwise."""

MAX_TEXT = 60
"""Characters of a text that a table shows."""

FORMATS = ("table", "csv", "json")

Row = Mapping[str, Any]


def query(
    run: Annotated[str, typer.Argument(help="Run folder, or a URI like s3://bucket/runs/x.")],
    top: Annotated[
        int | None, typer.Option(help="How many at most. [default: 10 as a table, else all]")
    ] = None,
    where: Annotated[
        str | None, typer.Option(help="SQL condition, e.g. \"params < 50000 AND status = 'ok'\".")
    ] = None,
    columns: Annotated[str | None, typer.Option(help="Columns to show, with commas.")] = None,
    sort: Annotated[
        str | None, typer.Option(help="Columns to sort by, e.g. 'params, proxy_accuracy DESC'.")
    ] = None,
    pareto: Annotated[
        str | None,
        typer.Option(help="Show the Pareto front of columns, e.g. proxy_accuracy,params."),
    ] = None,
    format: Annotated[str, typer.Option(help="table, csv or json.")] = "table",
) -> None:
    """Show a run's candidates, best first."""
    if format == "table" and top is None:
        top = 10
    names, goals = _names(columns), _names(pareto)
    print_query(run, top=top, where=where, columns=names, sort=sort, pareto=goals, format=format)


def print_query(
    run: str | Path,
    *,
    top: int | None,
    where: str | None,
    columns: list[str] | None,
    sort: str | None,
    format: str,
    pareto: list[str] | None = None,
) -> None:
    """Print a run's candidates to stdout.

    Args:
        run: run folder, or its URI.
        top: how many at most; all by default.
        where: SQL condition on the columns.
        columns: columns to print; for a table some by default, else all.
        sort: columns to sort by instead of the run's ranking.
        format: ``table`` to look at, ``csv`` or ``json`` (a list of objects) to go on with.
        pareto: print only the Pareto front of these columns.

    Raises:
        ConfigError: the format is unknown.
        RunFolderError: there is no run.
        QueryError: a condition or a column is wrong.
    """
    from gtn_nas.errors import UnknownNameError
    from gtn_nas.results.query import load_run

    if format not in FORMATS:
        raise UnknownNameError("format", format, FORMATS)
    if format == "table":
        columns = columns or list(dict.fromkeys(["key", *(pareto or ()), *COLUMNS]))
    names, rows = load_run(run).rows(top, where, columns, sort, pareto)
    if format == "table":
        _print_table(names, rows)
    elif format == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_plain(value) for value in row] for row in rows)
    else:
        objects = [dict(zip(names, map(_plain, row), strict=True)) for row in rows]
        print(json.dumps(objects, indent=1, allow_nan=False))


def _names(text: str | None) -> list[str] | None:
    return [name.strip() for name in text.split(",")] if text else None


def _print_table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from gtn_nas.cli.output import table_console

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("rank", justify="right", no_wrap=True)
    for name in names:
        numbers = any(isinstance(row[names.index(name)], int | float) for row in rows)
        table.add_column(Text(name), justify="right" if numbers else "left", no_wrap=True)
    for rank, row in enumerate(rows, start=1):
        table.add_row(str(rank), *(Text(_short(n, v)) for n, v in zip(names, row, strict=True)))
    table_console().print(table)


def _plain(value: Any) -> Any:
    """Return a value that JSON has: no times, and neither NaN nor infinity."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _short(name: str, value: Any) -> str:
    """Return a value in a few printable characters (errors may hold anything)."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if name in {"params", "flops"}:
        return f"{value:,}"
    if name == "choices":
        value = " ".join(f"{n}={v}" for n, v in json.loads(value).items())
    text = "".join(c if c.isprintable() else " " for c in str(_plain(value)))
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
