"""The tables of one run or several: rows of the same table in different runs are joined."""

# ruff: noqa: S608 - table and column names are our own or quoted
from __future__ import annotations

from collections.abc import Mapping, Sequence

from gtn_nas.ranking.columns import quoted
from gtn_nas.results.sandbox import Sandbox, literal
from gtn_nas.results.views import PART, ROW, View, Views

RUN = "_run"
"""A further column of each table, beside ``PART`` and ``ROW``: the index of the row's run."""

Position = tuple[int, int, int]
"""The position of a row: its values of ``RUN``, ``PART`` and ``ROW``."""

Query = tuple[str, list[list[int]]]
"""A statement in SQL, and its parameters."""


class Union:
    """The tables of several runs, in which the column ``run`` names each row's run.

    Args:
        runs: the views of each run by the run's name. If there is only one run, its rows keep their
            stored values of ``run``.
        sandbox: the database of all these views.
    """

    def __init__(self, runs: Mapping[str, Views], sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._names, self._runs = list(runs), list(runs.values())

    def view(self, table: str) -> View:
        """Return the view of a table with the rows of all runs.

        Raises:
            RunFolderError: a newer version of this package wrote a run.
            ForeignPart, duckdb.Error: a part file is foreign or damaged; ``drop_damaged`` finds it.
        """
        views = {place: run.view(table) for place, run in enumerate(self._runs)}
        types = {n: t for view in views.values() for n, t in view.types.items()}
        return self._joined(views, types)

    def create(self, table: str) -> None:
        """Create a view in the database, so that SQL can use the table by its name."""
        view = self.view(table)
        shown = ", ".join(map(quoted, view.types))
        self.sandbox.fetch(f"CREATE OR REPLACE VIEW {table} AS SELECT {shown} FROM ({view.select})")

    def largest_budget(self) -> str:
        """Return SQL that keeps only the row with the largest budget for each candidate of a run.

        The text is empty if all rows of each run have the same budget, since the window function is
        slow.
        """
        budgets = [run.view("candidates").spread.budgets for run in self._runs]
        largest = f" QUALIFY row_number() OVER (PARTITION BY {RUN}, key ORDER BY budget DESC) = 1"
        return largest if any(len(set(ends)) > 1 for ends in budgets) else ""

    def comparable(self) -> bool:
        """Tell whether scores can be compared: all candidates have the same ``evaluation_id``."""
        spreads = [run.view("candidates").spread for run in self._runs]
        ids = {known for spread in spreads for known in spread.evaluation_ids}
        return len(ids - {None}) <= 1

    def rows_at(self, table: str, positions: Sequence[Position], names: Sequence[str]) -> Query:
        """Return the SQL that reads some columns of some rows.

        Args:
            table: name of the table.
            positions: the rows to return, in this order.
            names: the columns to return.
        """
        if not positions:
            shown = ", ".join(map(quoted, names))
            return f"SELECT {shown} FROM ({self.view(table).select}) LIMIT 0", []
        parts = {run: sorted({p for r, p, _ in positions if r == run}) for run, _, _ in positions}
        excerpts = {run: self._runs[run].excerpt(table, of) for run, of in parts.items()}
        joined = self._joined(excerpts, self.view(table).types)
        places = {(run, part): i for run, of in parts.items() for i, part in enumerate(of)}
        chosen = [
            [run for run, _, _ in positions],
            [places[run, part] for run, part, _ in positions],
            [row for _, _, row in positions],
            list(range(len(positions))),
        ]
        columns = ", ".join(f"unnest(?::BIGINT[]) AS {name}" for name in (RUN, PART, ROW, "_place"))
        sql = (
            f"SELECT {', '.join(map(quoted, names))} FROM ({joined.select}) "
            f"JOIN (SELECT {columns}) USING ({RUN}, {PART}, {ROW}) ORDER BY _place"
        )
        return sql, chosen

    @property
    def skipped(self) -> list[str]:
        """Messages about the part files of all runs that were skipped as damaged or foreign."""
        return [text for run in self._runs for text in run.skipped]

    def drop_damaged(self) -> bool:
        """Leave out every damaged or foreign part file, with a warning; tell if there was any."""
        found = [run.drop_damaged() for run in self._runs]  # a list, since any() stops at the first
        return any(found)

    def _joined(self, views: Mapping[int, View], types: Mapping[str, str]) -> View:
        """Return one view with the rows of some runs; columns that a run lacks are null."""
        rows = (self._one(view, run, types) for run, view in views.items())
        return View(" UNION ALL ".join(rows), types)

    def _one(self, view: View, run: int, types: Mapping[str, str]) -> str:
        """Return the SQL of one run's rows with the given columns; those it lacks are null."""
        renamed = {"run": literal(self._names[run])} if len(self._runs) > 1 else {}
        values = {
            name: renamed.get(name, quoted(name) if name in view.types else f"NULL::{sql_type}")
            for name, sql_type in types.items()
        }
        shown = ", ".join(f"{value} AS {quoted(name)}" for name, value in values.items())
        return f"SELECT {shown}, {PART}, {ROW}, {run}::BIGINT AS {RUN} FROM ({view.select})"
