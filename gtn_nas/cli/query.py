"""``gtn-nas query``: show the candidates of one or several runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gtn_nas.cli.output import warnings_on_stderr

if TYPE_CHECKING:
    from rich.table import Table

    from gtn_nas.results.reader import Rows, Runs
    from gtn_nas.results.selection import Selection

COLUMNS = ("key", "proxy_accuracy", "proxy_loss", "params", "flops", "status", "choices")
"""Default columns of a table; for several runs, the column ``run`` is added."""

TOP = 10
"""Default number of candidates in a table."""

FORMATS = ("table", "csv", "json", "parquet")

RunNames = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN",
        help="Run folders, URIs like s3://bucket/runs/x, or patterns like 'runs/*'.",
    ),
]


def query(
    runs: RunNames,
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
    sql: Annotated[
        str | None,
        typer.Option(
            help="Instead, one SELECT over the tables candidates, finals, events and latencies."
        ),
    ] = None,
    format: Annotated[
        str, typer.Option(help="table, csv, json, or parquet, to be redirected into a file.")
    ] = "table",
    watch: Annotated[
        bool, typer.Option("--watch", help="Refresh the table until the runs have ended.")
    ] = False,
) -> None:
    """Show the candidates of runs, best first, also while they are searched."""
    from gtn_nas.errors import ConfigError
    from gtn_nas.results.selection import Selection

    selection = Selection(top, where, _names(columns), sort, _names(pareto))
    if sql is not None and selection != Selection():
        raise ConfigError("--sql stands alone; put the condition, order and limit into the SELECT")
    print_query(runs, selection if sql is None else sql, format, watch=watch)


def print_query(
    names: Sequence[str | Path],
    asked: Selection | str,
    format: str = "table",
    *,
    watch: bool = False,
) -> None:
    """Print the candidates of runs, or the result of a SELECT, to stdout.

    Args:
        names: run folders, URIs or patterns.
        asked: which candidates to print, or one SELECT statement.
        format: ``table`` for people; ``csv``, ``json`` (a list of objects) or ``parquet`` for
            programs.
        watch: refresh the table until the runs have ended.

    Raises:
        ConfigError: the format is unknown, needs a file as stdout, or cannot be watched.
        RunFolderError: a name is not that of a run, or a pattern matches no run.
        QueryError: the selection or the SELECT is wrong.
    """
    from gtn_nas.cli import rows
    from gtn_nas.errors import ConfigError, UnknownNameError
    from gtn_nas.results.query import load_runs

    if format not in FORMATS:
        raise UnknownNameError("format", format, FORMATS)
    if watch and format != "table":
        raise ConfigError("--watch refreshes a table; leave out --format")
    if format == "parquet":
        rows.require_no_terminal()
    with warnings_on_stderr():
        runs = load_runs(*names)
        if format == "parquet":
            rows.print_parquet(
                runs.sql_table(asked) if isinstance(asked, str) else runs.selected_table(asked)
            )
        elif format == "csv":
            rows.print_csv(_answer(runs, asked))
        elif format == "json":
            rows.print_json(_answer(runs, asked))
        else:
            _show_table(runs, asked, watch=watch)


def _answer(runs: Runs, asked: Selection | str) -> Rows:
    return runs.sql_rows(asked) if isinstance(asked, str) else runs.selected(asked)


def _show_table(runs: Runs, asked: Selection | str, *, watch: bool) -> None:
    from gtn_nas.cli.output import table_console
    from gtn_nas.cli.rows import table_of

    ranked = not isinstance(asked, str)
    if not isinstance(asked, str):
        asked = _in_short(asked, several=len(runs.folders) > 1)

    def table() -> Table:
        return table_of(_answer(runs, asked), ranked=ranked)

    if not watch:
        table_console().print(table())
        return
    from gtn_nas.cli.watching import watched
    from gtn_nas.results.lock import holder_of

    watched(table, lambda: any(holder_of(folder) for folder in runs.folders))


def _in_short(selection: Selection, *, several: bool) -> Selection:
    """Return a selection with a table's default columns and number of candidates filled in."""
    run = ["run"] if several else []
    columns = list(dict.fromkeys([*run, "key", *(selection.pareto or ()), *COLUMNS]))
    top = TOP if selection.top is None else selection.top
    return replace(selection, top=top, columns=selection.columns or columns)


def _names(text: str | None) -> list[str] | None:
    return [name.strip() for name in text.split(",")] if text else None
