"""Reads one run or several, as if they were one table."""

# ruff: noqa: S608 - names are checked and quoted, and the sandbox holds what a user writes
from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import duckdb

from gtn_nas.errors import QueryError
from gtn_nas.files import Place
from gtn_nas.results.columns import quoted
from gtn_nas.results.copies import Copies
from gtn_nas.results.layout import TABLES, part_files
from gtn_nas.results.pareto import front
from gtn_nas.results.ranking import lower_is_better, order_by, within
from gtn_nas.results.sandbox import Sandbox
from gtn_nas.results.settings import common_ranking
from gtn_nas.results.terms import explained, known, sort_terms
from gtn_nas.results.union import RUN, Query, Union
from gtn_nas.results.views import PART, ROW, ForeignPart, Views
from gtn_nas.trial import Status

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

T = TypeVar("T")
Rows = tuple[list[str], list[tuple[Any, ...]]]
"""Names of columns, and rows of values."""

FrameKind = Literal["pandas", "arrow"]

ORDERS = {"candidates": "tell_index", "finals": "rank, created_at"}
"""Order of the rows of a whole table; of the others it is ``created_at``."""

OF_QUERIES = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.DataError,
    duckdb.ParserException,
    duckdb.PermissionException,
)
"""What DuckDB raises when a query is wrong; a damaged file can give any other error."""


class Runs:
    """Run folders to read from; every call sees what they hold by then.

    A damaged or foreign part file is skipped, with a warning that names it. Of runs in a bucket,
    the parts are fetched, each once. With several runs, the column ``run`` holds the names of their
    folders, or the whole paths where two are called alike.

    Args:
        folders: the run folders; ``load_runs`` checks them first.
    """

    def __init__(self, folders: Sequence[Place]) -> None:
        self.folders = list(folders)
        self._copies = [Copies() for _ in folders]
        self._files: list[dict[str, list[Place]]] = []
        self._tables: Union | None = None

    def check(self) -> None:
        """Read enough to know that these are runs that this version can read."""
        self._answer(lambda tables: tables.view("candidates"))

    @overload
    def candidates(self, format: Literal["pandas"] = "pandas") -> pd.DataFrame: ...

    @overload
    def candidates(self, format: Literal["arrow"]) -> pa.Table: ...

    def candidates(self, format: FrameKind = "pandas") -> pd.DataFrame | pa.Table:
        """Return all candidates, in the order in which they were told.

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
        """Return all events in the order in which they happened, with pandas."""
        return self._frame("events", "pandas")

    def latencies(self) -> pd.DataFrame:
        """Return how each latency was measured, or why it could not be, with pandas."""
        return self._frame("latencies", "pandas")

    def top(self, n: int = 10) -> list[dict[str, Any]]:
        """Return the ``n`` best candidates as mappings from column to value."""
        return self.query(top=n)

    def pareto(self, *columns: str, where: str | None = None) -> list[dict[str, Any]]:
        """Return the candidates on the Pareto front of columns, best first, as mappings.

        Args:
            columns: e.g. ``"proxy_accuracy", "params"``; a column's name tells its direction.
            where: SQL condition on the candidates.
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
        """Return candidates as mappings from column to value, best first; see ``rows``."""
        return _mappings(self.rows(top, where, columns, sort, pareto))

    def rows(
        self,
        top: int | None = None,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        sort: str | None = None,
        pareto: Sequence[str] | None = None,
    ) -> Rows:
        """Return the names of columns, and the candidates' values in them, best first.

        A candidate that was evaluated at several budgets appears with the largest of them that
        fulfils the condition.

        Args:
            top: how many at most; all by default.
            where: SQL condition on the columns, e.g. ``"params < 50000 AND status = 'ok'"``.
            columns: names of the columns to return; all by default.
            sort: columns to sort by instead, as in SQL: ``"params, proxy_accuracy DESC"``.
            pareto: columns whose Pareto front is returned alone: of candidates that succeeded
                within the run's limits, at the largest budget there is.

        Raises:
            QueryError: an argument is wrong, or the query takes too long or too much memory.
        """
        return self._answer(
            lambda tables: tables.sandbox.fetch(
                *self._selection(tables, top, where, columns, sort, pareto)
            )
        )

    def table(
        self,
        top: int | None = None,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        sort: str | None = None,
        pareto: Sequence[str] | None = None,
    ) -> pa.Table:
        """Return the same as ``rows`` as an Arrow table."""
        return self._answer(
            lambda tables: _in_utc(
                tables.sandbox.arrow(*self._selection(tables, top, where, columns, sort, pareto))
            )
        )

    def sql(self, select: str) -> list[dict[str, Any]]:
        """Return the rows of one SELECT over the tables candidates, finals, events and latencies.

        Raises:
            QueryError: it is not one SELECT, is wrong, reaches for anything but the tables, or
                takes too long or too much memory.
        """
        return _mappings(self.sql_rows(select))

    def sql_rows(self, select: str) -> Rows:
        """Return the same as names of columns and rows of values."""
        return self._answer(lambda tables: tables.sandbox.fetch(_statement(tables, select)))

    def sql_table(self, select: str) -> pa.Table:
        """Return the same as an Arrow table."""
        return self._answer(lambda tables: tables.sandbox.arrow(_statement(tables, select)))

    def _selection(
        self,
        tables: Union,
        top: int | None,
        where: str | None,
        columns: Sequence[str] | None,
        sort: str | None,
        pareto: Sequence[str] | None,
    ) -> Query:
        """Return the SQL, and its parameters, of what ``rows`` describes.

        Where few rows of many are wanted, they are found by the columns that decide it alone, and
        then fetched: sorting whole rows takes twice as long.
        """
        if top is not None and top < 0:
            raise QueryError(f"top must not be negative, and is {top}")
        view = tables.view("candidates")
        names = [known(name, view.types) for name in columns or view.types]
        goals = [known(name, view.types) for name in pareto or ()]
        order = self._order(tables, sort)
        condition = f"({tables.sandbox.expression(where)})" if where else "true"
        chosen = f"SELECT * FROM candidates WHERE {condition}{tables.largest_budget()}"
        if goals:
            kept = within(common_ranking(self.folders).limits, view.types)
            chosen = (
                f"SELECT * FROM ({chosen}) WHERE status = '{Status.OK}' AND {kept} "
                "QUALIFY budget = max(budget) OVER ()"
            )

        def select(shown: Sequence[str]) -> str:
            return (
                f"WITH candidates AS NOT MATERIALIZED ({view.select}) "
                f"SELECT {', '.join(map(quoted, shown))} FROM ({chosen}) ORDER BY {order}"
            )

        if top is None and not goals:
            return select(names), []
        limit = "" if goals else f" LIMIT {top}"
        _, found = tables.sandbox.fetch(select([RUN, PART, ROW, *goals]) + limit)
        if goals:
            found = _front(found, goals)[:top]
        return tables.rows_at("candidates", [(row[0], row[1], row[2]) for row in found], names)

    def _order(self, tables: Union, sort: str | None) -> str:
        """Return the terms of the ``ORDER BY``.

        Raises:
            QueryError: a term is wrong, or the runs rank differently and nothing is said instead.
        """
        types = tables.view("candidates").types
        if sort:
            # What ties is in any order that is always the same.
            return f"{sort_terms(sort, types)}, {RUN}, key, tell_index"
        if not tables.comparable():
            warnings.warn(
                "the runs evaluated their candidates differently (see evaluation_id): their scores "
                "do not compare",
                stacklevel=2,
            )
        ranking = common_ranking(self.folders)
        return f"{order_by(ranking.rank_by, types, ranking.limits)}, {RUN}"

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
        """Ask, and ask again when the parts changed meanwhile or one of them was damaged."""
        while True:
            files = self._listed()
            try:
                tables = self._tables_of(files)
            except FileNotFoundError:  # a run's writer has just merged what was to be fetched
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
    """Return what runs are called: by their folders, or in full where that is ambiguous."""
    short = [
        folder.absolute().name if isinstance(folder, Path) else folder.name for folder in folders
    ]
    return [
        name if short.count(name) == 1 else str(folder)
        for name, folder in zip(short, folders, strict=True)
    ]


def _statement(tables: Union, select: str) -> str:
    """Check a statement, and make the tables known that it may be about."""
    statement = tables.sandbox.statement(select)
    for table in TABLES:
        if table in select.lower():
            tables.create(table)
    return statement


def _front(rows: Sequence[tuple[Any, ...]], columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return the rows of the Pareto front of their last columns."""
    signs = [1 if lower_is_better(column) else -1 for column in columns]

    def losses(row: tuple[Any, ...]) -> list[float | None]:
        values = row[-len(columns) :]
        for name, value in zip(columns, values, strict=True):
            if not isinstance(value, int | float | None):
                raise QueryError(f"the column {name!r} holds no numbers, so it has no Pareto front")
        return [v if v is None else sign * v for sign, v in zip(signs, values, strict=True)]

    return front(rows, losses)


def _mappings(rows: Rows) -> list[dict[str, Any]]:
    names, values = rows
    return [dict(zip(names, row, strict=True)) for row in values]


def _in_utc(table: pa.Table) -> pa.Table:
    """Return a table whose times say that they are in UTC."""
    import pyarrow as pa

    for place, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type) and field.type.tz is None:
            zoned = pa.timestamp(field.type.unit, tz="UTC")
            table = table.set_column(place, field.name, table[place].cast(zoned))
    return table
