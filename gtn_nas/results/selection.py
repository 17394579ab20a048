"""A user's selection of candidates, with their order and columns, and the SQL for it."""

# ruff: noqa: S608 - names are checked and quoted, and a user's SQL runs in the sandbox
from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gtn_nas.errors import QueryError
from gtn_nas.ranking.columns import lower_is_better, quoted
from gtn_nas.ranking.pareto import front
from gtn_nas.ranking.ranking import order_by, within
from gtn_nas.results.settings import common_ranking
from gtn_nas.results.terms import known, sort_terms
from gtn_nas.results.union import RUN, Query, Union
from gtn_nas.results.views import PART, ROW
from gtn_nas.storage.files import Place
from gtn_nas.trial import Status


@dataclass(frozen=True)
class Selection:
    """Which candidates to return, best first.

    If a candidate was evaluated at several budgets, the row with the largest budget is returned, of
    the rows that fulfil ``where``.

    Attributes:
        top: how many candidates to return at most; all by default.
        where: SQL condition on the columns, e.g. ``"params < 50000 AND status = 'ok'"``.
        columns: names of the columns to return; all by default.
        sort: columns to sort by instead of the run's ranking, as in SQL:
            ``"params, proxy_accuracy DESC"``.
        pareto: objectives; if given, only candidates on their Pareto front are returned. The front
            is made of candidates that succeeded and keep the run's limits, at the largest budget
            among them.
    """

    top: int | None = None
    where: str | None = None
    columns: Sequence[str] | None = None
    sort: str | None = None
    pareto: Sequence[str] | None = None

    def query(self, tables: Union, folders: Sequence[Place]) -> Query:
        """Return the SQL of the selection.

        If ``top`` or ``pareto`` is given, the rows are first found with only the columns that
        decide, and then their other columns are read: sorting whole rows takes twice as long.

        Args:
            tables: the tables of the runs.
            folders: the run folders.

        Raises:
            QueryError: an attribute of the selection is wrong, or the runs have no common order.
        """
        if self.top is not None and self.top < 0:
            raise QueryError(f"top must not be negative, and is {self.top}")
        types = tables.view("candidates").types
        names = [known(name, types) for name in self.columns or types]
        goals = [known(name, types) for name in self.pareto or ()]
        if self.top is None and not goals:
            return self._sorted(tables, folders, names), []
        limit = "" if goals else f" LIMIT {self.top}"
        position = [RUN, PART, ROW]
        _, found = tables.sandbox.fetch(self._sorted(tables, folders, position + goals) + limit)
        if goals:
            found = _front(found, goals)[: self.top]
        return tables.rows_at("candidates", [(row[0], row[1], row[2]) for row in found], names)

    def _sorted(self, tables: Union, folders: Sequence[Place], shown: Sequence[str]) -> str:
        """Return the SQL of the columns ``shown``, sorted, before ``top`` and the Pareto front.

        It already leaves out candidates by ``where``, and those that cannot be on the front.
        """
        view = tables.view("candidates")
        condition = f"({tables.sandbox.expression(self.where)})" if self.where else "true"
        chosen = f"SELECT * FROM candidates WHERE {condition}{tables.largest_budget()}"
        if self.pareto:
            kept = within(common_ranking(folders).limits, view.types)
            chosen = (
                f"SELECT * FROM ({chosen}) WHERE status = '{Status.OK}' AND {kept} "
                "QUALIFY budget = max(budget) OVER ()"
            )
        return (
            f"WITH candidates AS NOT MATERIALIZED ({view.select}) "
            f"SELECT {', '.join(map(quoted, shown))} FROM ({chosen}) "
            f"ORDER BY {self._order(tables, folders)}"
        )

    def _order(self, tables: Union, folders: Sequence[Place]) -> str:
        """Return the terms of the ``ORDER BY``."""
        types = tables.view("candidates").types
        if self.sort:
            # Equal values need some fixed order, so that each call returns the same.
            return f"{sort_terms(self.sort, types)}, {RUN}, key, tell_index"
        if not tables.comparable():
            warnings.warn(
                "the runs evaluated their candidates differently (see evaluation_id): their scores "
                "do not compare",
                stacklevel=2,
            )
        ranking = common_ranking(folders)
        return f"{order_by(ranking.score, types, ranking.limits)}, {RUN}"


def _front(rows: Sequence[tuple[Any, ...]], columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return the rows on the Pareto front of ``columns``, which are the last values of each row."""
    signs = [1 if lower_is_better(column) else -1 for column in columns]

    def losses(row: tuple[Any, ...]) -> list[float | None]:
        values = row[-len(columns) :]
        for name, value in zip(columns, values, strict=True):
            if not isinstance(value, int | float | None):
                raise QueryError(f"the column {name!r} holds no numbers, so it has no Pareto front")
        return [v if v is None else sign * v for sign, v in zip(signs, values, strict=True)]

    return front(rows, losses)
