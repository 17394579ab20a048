"""The same table of one run or of several as one."""

# ruff: noqa: S608 - table and column names are our own or quoted
from __future__ import annotations

from collections.abc import Mapping, Sequence

from gtn_nas.ranking.columns import quoted
from gtn_nas.results.sandbox import Sandbox, literal
from gtn_nas.results.views import PART, ROW, View, Views

RUN = "_run"
"""Beside its columns, ``PART`` and ``ROW``, a table has this: the place of a row's run."""

Position = tuple[int, int, int]
"""A row by its values of ``RUN``, ``PART`` and ``ROW``."""

Query = tuple[str, list[list[int]]]
"""SQL and its parameters."""


class Union:
    """The tables of several runs, the rows of each under its name.

    Args:
        runs: views of each by the run's name; a single run's rows keep the name they carry.
        sandbox: the database that all of them are of.
    """

    def __init__(self, runs: Mapping[str, Views], sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._names, self._runs = list(runs), list(runs.values())

    def view(self, table: str) -> View:
        """Return a table's view.

        Raises:
            RunFolderError: a newer version of this package wrote a run.
            ForeignPart, duckdb.Error: a part is foreign or damaged; ``drop_damaged`` finds it.
        """
        views = {place: run.view(table) for place, run in enumerate(self._runs)}
        types = {n: t for view in views.values() for n, t in view.types.items()}
        return self._joined(views, types)

    def create(self, table: str) -> None:
        """Make a table known to SQL under its name."""
        view = self.view(table)
        shown = ", ".join(map(quoted, view.types))
        self.sandbox.fetch(f"CREATE OR REPLACE VIEW {table} AS SELECT {shown} FROM ({view.select})")

    def largest_budget(self) -> str:
        """Return the SQL that leaves of each candidate the row of its largest budget.

        It is empty where all of a run have the same one, since the window function is slow.
        """
        budgets = [run.view("candidates").spread.budgets for run in self._runs]
        largest = f" QUALIFY row_number() OVER (PARTITION BY {RUN}, key ORDER BY budget DESC) = 1"
        return largest if any(len(set(ends)) > 1 for ends in budgets) else ""

    def comparable(self) -> bool:
        """Tell whether all candidates have one ``evaluation_id``, so that scores compare."""
        spreads = [run.view("candidates").spread for run in self._runs]
        ids = {known for spread in spreads for known in spread.evaluation_ids}
        return len(ids - {None}) <= 1

    def rows_at(self, table: str, positions: Sequence[Position], names: Sequence[str]) -> Query:
        """Return what gives some columns of some rows, in the order of the positions."""
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
        """What was left out of any run, in words."""
        return [text for run in self._runs for text in run.skipped]

    def drop_damaged(self) -> bool:
        """Leave out and name every damaged part, and tell if there was any."""
        found = [run.drop_damaged() for run in self._runs]  # all of them, not up to the first
        return any(found)

    def _joined(self, views: Mapping[int, View], types: Mapping[str, str]) -> View:
        """Return the rows of some runs with the columns of all."""
        rows = (self._one(view, run, types) for run, view in views.items())
        return View(" UNION ALL ".join(rows), types)

    def _one(self, view: View, run: int, types: Mapping[str, str]) -> str:
        """Return the rows of one run with the columns of all."""
        renamed = {"run": literal(self._names[run])} if len(self._runs) > 1 else {}
        values = {
            name: renamed.get(name, quoted(name) if name in view.types else f"NULL::{sql_type}")
            for name, sql_type in types.items()
        }
        shown = ", ".join(f"{value} AS {quoted(name)}" for name, value in values.items())
        return f"SELECT {shown}, {PART}, {ROW}, {run}::BIGINT AS {RUN} FROM ({view.select})"
