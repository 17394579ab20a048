"""What a search looks for: a score, what is weighed against it, and limits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gtn_nas.errors import ConfigError, UnknownNameError
from gtn_nas.results.columns import MEASURES
from gtn_nas.results.limits import Limit
from gtn_nas.results.pareto import front
from gtn_nas.results.ranking import loss_of, ranked, sort_key
from gtn_nas.trial import Record, Status


@dataclass(frozen=True)
class Goals:
    """What makes one candidate better than another.

    Attributes:
        rank_by: column of the score.
        objectives: columns that are weighed against the score, each in its own direction.
        limits: what a candidate must keep to be wanted at all.
    """

    rank_by: str
    objectives: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = ()

    @classmethod
    def parse(cls, rank_by: str, objectives: Sequence[str], limits: Sequence[str]) -> Goals:
        """Read goals as a configuration holds them.

        Raises:
            UnknownNameError: a column is none that candidates have.
            ConfigError: a limit cannot be read, or an objective is there twice.
        """
        goals = cls(rank_by, tuple(objectives), tuple(map(Limit.parse, limits)))
        named = [("objective", name) for name in objectives]
        for kind, name in [*named, *(("column to limit", limit.column) for limit in goals.limits)]:
            if name not in MEASURES:
                raise UnknownNameError(kind, name, MEASURES)
        for index, name in enumerate(goals.columns):
            if name in goals.columns[:index]:
                what = "what candidates are ranked by" if name == rank_by else "named twice"
                raise ConfigError(f"the objective {name!r} is {what}; leave it out")
        return goals

    @property
    def columns(self) -> tuple[str, ...]:
        """The score's column and those of all objectives."""
        return self.rank_by, *self.objectives

    def order(self, record: Record) -> tuple[Any, ...]:
        """Return a sort key, the best first; see ``ranked``."""
        return sort_key(record, self.rank_by, self.limits)

    def ranked(self, records: Iterable[Record]) -> list[Record]:
        """Sort candidates best first; see ``ranking.ranked``."""
        return ranked(records, self.rank_by, self.limits)

    def eligible(self, record: Record) -> bool:
        """Tell whether a candidate succeeded within all limits."""
        return record.status is Status.OK and all(v <= 0 for v in self.violations(record))

    def losses(self, record: Record) -> list[float | None]:
        """Return score and objectives such that lower is better; a failure has none of them."""
        if record.status is not Status.OK:
            return [None] * len(self.columns)
        return [loss_of(record, column) for column in self.columns]

    def violations(self, record: Record) -> list[float]:
        """Return for each limit how far a candidate is beyond it; within, it is at most 0."""
        return [limit.violation(record) for limit in self.limits]

    def front(self, ranking: Sequence[Record]) -> list[Record]:
        """Return the Pareto front of score and objectives, best score first.

        It is one of eligible candidates at the largest budget that any of them has, since scores of
        different budgets cannot be compared.
        """
        eligible = [record for record in ranking if self.eligible(record)]
        full = max((record.budget for record in eligible), default=0)
        return front([r for r in eligible if r.budget == full], self.losses)

    def wanted(self, ranking: Sequence[Record]) -> list[Record]:
        """Return what is worth a full training, best first: the front, where there are objectives.

        Without objectives it is every eligible candidate.
        """
        if self.objectives:
            return self.front(ranking)
        return [record for record in ranking if self.eligible(record)]
