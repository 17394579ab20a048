"""Read one run or several; the tables of several runs are read as one."""

# ruff: noqa: S608 - names are checked and quoted, and a user's SQL runs in the sandbox
from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import duckdb

from gtn_nas.errors import QueryError
from gtn_nas.ranking.columns import quoted
from gtn_nas.results.copies import Copies
from gtn_nas.results.layout import TABLES, part_files
from gtn_nas.results.sandbox import Sandbox
from gtn_nas.results.selection import Selection
from gtn_nas.results.terms import explained
from gtn_nas.results.union import RUN, Query, Union
from gtn_nas.results.views import ForeignPart, Views
from gtn_nas.storage.files import Place

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

T = TypeVar("T")
Rows = tuple[list[str], list[tuple[Any, ...]]]
"""Names of columns, and rows of values."""

FrameKind = Literal["pandas", "arrow"]

ORDERS = {"candidates": "tell_index", "finals": "rank, created_at"}
"""The columns that a whole table is sorted by; other tables are sorted by ``created_at``."""

OF_QUERIES = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.DataError,
    duckdb.ParserException,
    duckdb.PermissionException,
)
"""Errors of DuckDB for a wrong query; a damaged file can cause any other error."""


class Runs:
    """Reader of one or several run folders; every call reads their current contents.

    A part file that is damaged or does not belong to its table is skipped, with a warning that
    names it. Part files in a bucket are downloaded, each once. With several runs, the column
    ``run`` holds the name of each row's run folder, or the whole path if two names are equal.

    Args:
        folders: the run folders; ``load_runs`` checks them first.

    Example:
        >>> from gtn_nas import load_runs
        >>> runs = load_runs("runs/*")
        >>> runs.sql("SELECT status, count(*) AS candidates FROM candidates GROUP BY status")
        [{'status': 'ok', 'candidates': 4}]
        >>> len(runs.candidates())  # a pandas data frame
        4
    """

    def __init__(self, folders: Sequence[Place]) -> None:
        self.folders = list(folders)
        self._copies = [Copies() for _ in folders]
        self._files: list[dict[str, list[Place]]] = []
        self._tables: Union | None = None

    @property
    def skipped(self) -> list[str]:
        """Messages about part files that were skipped as damaged or foreign, as last read."""
        return [] if self._tables is None else self._tables.skipped

    def check(self) -> None:
        """Check that the folders are runs that this version can read.

        Raises:
            RunFolderError: a newer version of this package wrote one of the runs.
        """
        self._answer(lambda tables: tables.view("candidates"))

    @overload
    def candidates(self, format: Literal["pandas"] = "pandas") -> pd.DataFrame: ...

    @overload
    def candidates(self, format: Literal["arrow"]) -> pa.Table: ...

    def candidates(self, format: FrameKind = "pandas") -> pd.DataFrame | pa.Table:
        """Return all evaluated candidates, in the order in which the strategy was told of them.

        Args:
            format: ``pandas`` for a data frame, ``arrow`` for an Arrow table.
        """
        return self._frame("candidates", format)

    @overload
    def finals(self, format: Literal["pandas"] = "pandas") -> pd.DataFrame: ...

    @overload
    def finals(self, format: Literal["arrow"]) -> pa.Table: ...

    def finals(self, format: FrameKind = "pandas") -> pd.DataFrame | pa.Table:
        """Return all full trainings, by rank; see ``candidates``."""
        return self._frame("finals", format)

    def events(self) -> pd.DataFrame:
        """Return all events as a pandas data frame, in the order in which they happened."""
        return self._frame("events", "pandas")

    def latencies(self) -> pd.DataFrame:
        """Return the latency measurements as a pandas data frame, failed ones with their error."""
        return self._frame("latencies", "pandas")

    def top(self, n: int = 10) -> list[dict[str, Any]]:
        """Return the ``n`` best candidates, each as a mapping from column to value."""
        return self.query(top=n)

    def pareto(self, *columns: str, where: str | None = None) -> list[dict[str, Any]]:
        """Return the candidates on a Pareto front, best first, each as a mapping.

        Args:
            columns: the objectives, e.g. ``"proxy_accuracy", "params"``; see
                ``ranking.columns.lower_is_better`` for the direction of each.
            where: SQL condition that candidates must fulfil.
        """
        return self.query(where=where, pareto=columns)

    def query(
        self,
        top: int | None = None,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        sort: str | None = None,
        pareto: Sequence[str] | None = None,
    ) -> list[dict[str, Any]]:
        """Return candidates, best first, each as a mapping from column to value; see ``rows``."""
        return _mappings(self.rows(top, where, columns, sort, pareto))

    def rows(
        self,
        top: int | None = None,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        sort: str | None = None,
        pareto: Sequence[str] | None = None,
    ) -> Rows:
        """Return the names of columns, and for each candidate its values, best first.

        The arguments are the attributes of ``Selection``.

        Raises:
            QueryError: an argument is wrong, or the query takes too long or too much memory.
        """
        return self.selected(Selection(top, where, columns, sort, pareto))

    def selected(self, selection: Selection) -> Rows:
        """Return what ``rows`` returns, for a ``Selection``."""
        return self._answer(lambda tables: tables.sandbox.fetch(*self._query(tables, selection)))

    def selected_table(self, selection: Selection) -> pa.Table:
        """Return the selected candidates as an Arrow table."""
        return self._answer(
            lambda tables: _in_utc(tables.sandbox.arrow(*self._query(tables, selection)))
        )

    def sql(self, select: str) -> list[dict[str, Any]]:
        """Run one SELECT over the tables candidates, finals, events and latencies.

        Returns:
            The rows, each as a mapping from column to value.

        Raises:
            QueryError: the text is not one valid SELECT, uses anything but these tables, or takes
                too long or too much memory.
        """
        return _mappings(self.sql_rows(select))

    def sql_rows(self, select: str) -> Rows:
        """Run one SELECT as ``sql`` does; return the names of its columns and its rows."""
        return self._answer(lambda tables: tables.sandbox.fetch(_statement(tables, select)))

    def sql_table(self, select: str) -> pa.Table:
        """Run one SELECT as ``sql`` does; return an Arrow table."""
        return self._answer(lambda tables: tables.sandbox.arrow(_statement(tables, select)))

    def _query(self, tables: Union, selection: Selection) -> Query:
        return selection.query(tables, self.folders)

    def _frame(self, table: str, format: FrameKind) -> pd.DataFrame | pa.Table:
        def answer(tables: Union) -> pa.Table:
            view, order = tables.view(table), ORDERS.get(table, "created_at")
            shown = ", ".join(map(quoted, view.types))
            sql = f"SELECT {shown} FROM ({view.select}) ORDER BY {RUN}, {order}"
            return _in_utc(tables.sandbox.arrow(sql))

        if format not in ("pandas", "arrow"):
            raise QueryError(f"format is pandas or arrow, and not {format!r}")
        found = self._answer(answer)
        return found if format == "arrow" else found.to_pandas()

    def _answer(self, ask: Callable[[Union], T]) -> T:
        """Call ``ask``; call it again if part files changed meanwhile or one was damaged."""
        while True:
            files = self._listed()
            try:
                tables = self._tables_of(files)
            except FileNotFoundError:  # a run's writer merged a part file before its download
                continue
            try:
                return ask(tables)
            except (ForeignPart, duckdb.Error) as error:
                changed = self._listed() != files  # a run's writer merges parts now and then
                of_query = isinstance(error, OF_QUERIES)
                if changed or (not of_query and tables.drop_damaged()):
                    continue
                if self._listed() == files:
                    raise QueryError(explained(error)) from error

    def _tables_of(self, files: list[dict[str, list[Place]]]) -> Union:
        if self._tables is None or files != self._files:
            local = [copies.local(of) for copies, of in zip(self._copies, files, strict=True)]
            sandbox = Sandbox([f for of in local for paths in of.values() for f in paths])
            views = [
                Views(folder, of, sandbox) for folder, of in zip(self.folders, local, strict=True)
            ]
            names = _names(self.folders)
            self._tables = Union(dict(zip(names, views, strict=True)), sandbox)
            self._files = files
        return self._tables

    def _listed(self) -> list[dict[str, list[Place]]]:
        return [{table: part_files(folder, table) for table in TABLES} for folder in self.folders]


def _names(folders: Sequence[Place]) -> list[str]:
    """Return a name for each run: its folder's name, or its whole path if names are equal."""
    short = [
        folder.absolute().name if isinstance(folder, Path) else folder.name for folder in folders
    ]
    return [
        name if short.count(name) == 1 else str(folder)
        for name, folder in zip(short, folders, strict=True)
    ]


def _statement(tables: Union, select: str) -> str:
    """Check a SELECT statement, and create views of the tables that it mentions."""
    statement = tables.sandbox.statement(select)
    for table in TABLES:
        if table in select.lower():
            tables.create(table)
    return statement


def _mappings(rows: Rows) -> list[dict[str, Any]]:
    names, values = rows
    return [dict(zip(names, row, strict=True)) for row in values]


def _in_utc(table: pa.Table) -> pa.Table:
    """Return a table in which times without a time zone are marked as UTC."""
    import pyarrow as pa

    for place, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type) and field.type.tz is None:
            zoned = pa.timestamp(field.type.unit, tz="UTC")
            table = table.set_column(place, field.name, table[place].cast(zoned))
    return table
