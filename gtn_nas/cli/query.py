"""``gtn-nas query``: look at the candidates of a run, or of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gtn_nas.cli.output import warnings_on_stderr

if TYPE_CHECKING:
    import pyarrow as pa

    from gtn_nas.results.reader import Rows, Runs

COLUMNS = ("key", "proxy_accuracy", "proxy_loss", "params", "flops", "status", "choices")
"""What a table shows unless told otherwise; of several runs, also the run."""

TOP = 10
"""How many candidates a table shows unless told otherwise."""

FORMATS = ("table", "csv", "json", "parquet")

RunNames = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN...",
        help="Run folders, URIs like s3://bucket/runs/x, or patterns like 'runs/*'.",
    ),
]


@dataclass(frozen=True)
class Question:
    """What is asked of the candidates; see ``Runs.rows``."""

    top: int | None = None
    where: str | None = None
    columns: Sequence[str] | None = None
    sort: str | None = None
    pareto: Sequence[str] | None = None

    def in_short(self, *, several: bool) -> Question:
        """Return the same for a table to look at: some columns, and not too many candidates."""
        run = ["run"] if several else []
        columns = dict.fromkeys([*run, "key", *(self.pareto or ()), *COLUMNS])
        top = TOP if self.top is None else self.top
        return replace(self, top=top, columns=self.columns or list(columns))

    def rows(self, runs: Runs) -> Rows:
        """Return the answer as rows."""
        return runs.rows(**asdict(self))

    def table(self, runs: Runs) -> pa.Table:
        """Return the answer as an Arrow table."""
        return runs.table(**asdict(self))


@dataclass(frozen=True)
class Select:
    """One SELECT over the tables of the runs."""

    sql: str

    def rows(self, runs: Runs) -> Rows:
        """Return the answer as rows."""
        return runs.sql_rows(self.sql)

    def table(self, runs: Runs) -> pa.Table:
        """Return the answer as an Arrow table."""
        return runs.sql_table(self.sql)


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

    question = Question(top, where, _names(columns), sort, _names(pareto))
    if sql is not None and question != Question():
        raise ConfigError("--sql stands alone; put the condition, order and limit into the SELECT")
    print_query(runs, question if sql is None else Select(sql), format, watch=watch)


def print_query(
    names: Sequence[str | Path],
    question: Question | Select,
    format: str = "table",
    *,
    watch: bool = False,
) -> None:
    """Print what runs answer to stdout.

    Args:
        names: run folders, URIs or patterns.
        question: what is asked.
        format: ``table`` to look at; ``csv``, ``json`` (a list of objects) or ``parquet`` to go on
            with.
        watch: print the table again and again, until the runs have ended.

    Raises:
        ConfigError: the format is unknown, or does not suit where stdout goes.
        RunFolderError: a name is none of a run, or a pattern matches none.
        QueryError: the question is wrong.
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
            rows.print_parquet(question.table(runs))
        elif format == "csv":
            rows.print_csv(question.rows(runs))
        elif format == "json":
            rows.print_json(question.rows(runs))
        else:
            _show_table(runs, question, watch=watch)


def _show_table(runs: Runs, question: Question | Select, *, watch: bool) -> None:
    from rich.table import Table

    from gtn_nas.cli.output import table_console
    from gtn_nas.cli.rows import table_of

    ranked = isinstance(question, Question)
    asked = question
    if isinstance(question, Question):
        asked = question.in_short(several=len(runs.folders) > 1)

    def table() -> Table:
        return table_of(asked.rows(runs), ranked=ranked)

    if not watch:
        table_console().print(table())
        return
    from gtn_nas.cli.watching import watched
    from gtn_nas.results.lock import holder_of

    watched(table, lambda: any(holder_of(folder) for folder in runs.folders))


def _names(text: str | None) -> list[str] | None:
    return [name.strip() for name in text.split(",")] if text else None
