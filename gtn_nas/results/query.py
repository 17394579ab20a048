"""The reader of a run folder."""

# ruff: noqa: S608 - names are checked and quoted, and the sandbox holds what a user writes
from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb

from gtn_nas.architecture import Architecture
from gtn_nas.errors import QueryError, RunFolderError
from gtn_nas.files import Place, place_of
from gtn_nas.results.columns import quoted
from gtn_nas.results.copies import Copies
from gtn_nas.results.layout import CONFIG, TABLES, is_run, part_files
from gtn_nas.results.limits import Limit
from gtn_nas.results.pareto import front
from gtn_nas.results.ranking import DEFAULT, lower_is_better, order_by, within
from gtn_nas.results.sandbox import first_line, literal
from gtn_nas.results.views import ForeignPart, Views
from gtn_nas.trial import Status

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

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


def load_run(uri: str | Path) -> Run:
    """Open a run for reading; it may still be running.

    Args:
        uri: its folder, or a URI such as ``s3://bucket/runs/x``.

    Raises:
        RunFolderError: there is no run, or a newer version of this package wrote it.
        ConfigError: the URI is of an unknown kind, or carries credentials.
        StoreError: the object store does not answer, or refuses.
    """
    folder = place_of(uri)
    if not folder.exists():
        raise RunFolderError(f"there is no run folder {folder}")
    if not is_run(folder):
        raise RunFolderError(f"{folder} is not a run: it lacks {CONFIG} or its candidates")
    run = Run(folder)
    run._answer(lambda views: views.view("candidates"))
    return run


class Run:
    """A run folder to read from; every call sees what the run holds by then.

    A damaged or foreign part file is skipped, with a warning that names it. Of a run in a bucket,
    the parts are fetched, each once.

    Args:
        folder: the run folder; ``load_run`` checks it first.
    """

    def __init__(self, folder: Place) -> None:
        self.folder = folder
        self._copies = Copies()
        self._files: dict[str, list[Place]] = {}
        self._views: Views | None = None

    @property
    def name(self) -> str:
        """The run's name, which is that of its folder."""
        return (self.folder.resolve() if isinstance(self.folder, Path) else self.folder).name

    @property
    def skipped(self) -> list[str]:
        """What of the run could not be read in the last answer, in words."""
        return [] if self._views is None else list(self._views.skipped)

    @property
    def config(self) -> dict[str, Any]:
        """The run's configuration.

        Raises:
            RunFolderError: it is not a YAML mapping.
        """
        import yaml

        path = self.folder / CONFIG
        try:
            config = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise RunFolderError(f"cannot read {path}: {' '.join(str(error).split())}") from error
        if not isinstance(config, dict):
            raise RunFolderError(f"{path} is not a mapping of settings")
        return config

    def candidates(self) -> pd.DataFrame:
        """Return all candidates, in the order in which they were told, with pandas."""
        return self._frame("candidates")

    def finals(self) -> pd.DataFrame:
        """Return all full trainings, by rank, with pandas."""
        return self._frame("finals")

    def events(self) -> pd.DataFrame:
        """Return all events in the order in which they happened, with pandas."""
        return self._frame("events")

    def latencies(self) -> pd.DataFrame:
        """Return how each latency was measured, or why it could not be, with pandas."""
        return self._frame("latencies")

    def top(self, n: int = 10) -> list[dict[str, Any]]:
        """Return the ``n`` best candidates as mappings from column to value."""
        return self.query(top=n)

    def architecture(self, key: str) -> Architecture:
        """Return the architecture of a candidate.

        Raises:
            QueryError: no candidate has this key.
        """
        rows = self.query(top=1, where=f"key = {literal(key)}", columns=["space", "choices"])
        if not rows:
            raise QueryError(f"{self.folder} has no candidate with the key {key!r}")
        return Architecture.from_json(rows[0]["space"], rows[0]["choices"])

    def query(
        self,
        top: int | None = None,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        sort: str | None = None,
        pareto: Sequence[str] | None = None,
    ) -> list[dict[str, Any]]:
        """Return candidates as mappings from column to value, best first; see ``rows``."""
        return _mappings(*self.rows(top, where, columns, sort, pareto))

    def rows(
        self,
        top: int | None = None,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        sort: str | None = None,
        pareto: Sequence[str] | None = None,
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
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
        if top is not None and top < 0:
            raise QueryError(f"top must not be negative, and is {top}")

        def answer(views: Views) -> tuple[list[str], list[tuple[Any, ...]]]:
            view = views.view("candidates")
            names = [_known(name, view.columns) for name in columns or view.columns]
            goals = [_known(name, view.columns) for name in pareto or ()]
            order = order_by(self._rank_by, view.columns, self._limits)
            order = f"{_terms(sort, view.columns)}, {order}" if sort else order
            chosen = self._chosen(views, where, comparable=bool(goals))
            limit = "" if top is None or goals else f" LIMIT {top}"
            sql = (
                f"WITH candidates AS NOT MATERIALIZED ({view.select}) "
                f"SELECT {', '.join(map(quoted, names + goals))} FROM ({chosen}) "
                f"ORDER BY {order}{limit}"
            )
            _, rows = views.sandbox.fetch(sql)
            return names, _front(rows, goals, len(names))[:top] if goals else rows

        return self._answer(answer)

    def sql(self, select: str) -> list[dict[str, Any]]:
        """Return the rows of one SELECT over the tables candidates, finals, events and latencies.

        Raises:
            QueryError: it is not one SELECT, is wrong, reaches for anything but the tables, or
                takes too long or too much memory.
        """

        def answer(views: Views) -> list[dict[str, Any]]:
            statement = views.sandbox.statement(select)
            for table in TABLES:
                if table in select.lower():
                    views.create(table)
            return _mappings(*views.sandbox.fetch(statement))

        return self._answer(answer)

    def _chosen(self, views: Views, where: str | None, comparable: bool) -> str:
        """Return the SQL of one row for each candidate, or only for those that a front is of."""
        condition = f"({views.sandbox.expression(where)})" if where else "true"
        chosen = f"SELECT * FROM candidates WHERE {condition}{views.largest_budget()}"
        if not comparable:
            return chosen
        kept = within(self._limits, views.view("candidates").columns)
        return (
            f"SELECT * FROM ({chosen}) WHERE status = '{Status.OK}' AND {kept} "
            "QUALIFY budget = max(budget) OVER ()"
        )

    @property
    def _rank_by(self) -> str:
        return str(self.config.get("rank_by", DEFAULT))

    @property
    def _limits(self) -> list[Limit]:
        limits = self.config.get("limits") or []
        texts = limits if isinstance(limits, list) else [limits]
        return [Limit.parse(str(text)) for text in texts]

    def _frame(self, table: str) -> pd.DataFrame:
        def answer(views: Views) -> pd.DataFrame:
            order = ORDERS.get(table, "created_at")
            return views.sandbox.frame(
                f"SELECT * FROM ({views.view(table).select}) ORDER BY {order}"
            )

        frame = self._answer(answer)
        frame["created_at"] = frame["created_at"].dt.tz_localize("UTC")
        return frame

    def _answer(self, ask: Callable[[Views], T]) -> T:
        """Ask, and ask again when the parts changed meanwhile or one of them was damaged."""
        while True:
            files = self._listed()
            try:
                views = self._views_of(files)
            except FileNotFoundError:  # the run's writer has just merged what was to be fetched
                continue
            try:
                return ask(views)
            except (ForeignPart, duckdb.Error) as error:
                changed = self._listed() != files  # the run's writer merges parts now and then
                of_query = isinstance(error, OF_QUERIES)
                if changed or (not of_query and views.drop_damaged()):
                    continue
                if self._listed() == files:
                    raise QueryError(_explained(error)) from error

    def _views_of(self, files: dict[str, list[Place]]) -> Views:
        if self._views is None or files != self._files:
            self._views, self._files = Views(self.folder, self._copies.local(files)), files
        return self._views

    def _listed(self) -> dict[str, list[Place]]:
        return {table: part_files(self.folder, table) for table in TABLES}


def _known(name: str, columns: Collection[str]) -> str:
    if name in columns:
        return name
    near = difflib.get_close_matches(name, columns, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(columns)}"
    raise QueryError(f"unknown column {name!r}; {hint}")


def _terms(sort: str, columns: Collection[str]) -> str:
    """Return the terms of an ``ORDER BY``: columns, each with an optional direction."""
    terms = []
    for term in sort.split(","):
        found = re.fullmatch(r'\s*"?([^"]+?)"?(?:\s+(asc|desc))?\s*', term, re.IGNORECASE)
        if found is None:
            raise QueryError(f"cannot sort by {sort!r}; write e.g. 'params, proxy_accuracy DESC'")
        terms.append(f"{quoted(_known(found[1], columns))} {found[2] or 'ASC'} NULLS LAST")
    return ", ".join(terms)


def _front(
    rows: Sequence[tuple[Any, ...]], columns: Sequence[str], start: int
) -> list[tuple[Any, ...]]:
    """Return the rows of the Pareto front, without the columns from ``start`` that decide it."""
    signs = [1 if lower_is_better(column) else -1 for column in columns]

    def losses(row: tuple[Any, ...]) -> list[float | None]:
        values = row[start:]
        for name, value in zip(columns, values, strict=True):
            if not isinstance(value, int | float | None):
                raise QueryError(f"the column {name!r} holds no numbers, so it has no Pareto front")
        return [v if v is None else sign * v for sign, v in zip(signs, values, strict=True)]

    return [row[:start] for row in front(rows, losses)]


def _mappings(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(names, row, strict=True)) for row in rows]


def _explained(error: Exception) -> str:
    """Say in one line what is wrong with a query; for an unknown column, name the nearest."""
    text = str(error)
    unknown = re.search(r'(?:Referenced column|a column named) "([^"]+)"', text)
    nearest = re.search(r"Candidate bindings: (.+)", text)
    if unknown and nearest:
        names = re.findall(r'"([^"]+)"', nearest[1])
        return f"unknown column {unknown[1]!r}; did you mean {', '.join(names[:3])}?"
    if "pytz" in text:
        return "a column of the result has a time zone; cast it: (...)::TIMESTAMP"
    return first_line(error)
