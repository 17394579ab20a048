"""The goals of a search: a score, further objectives, and limits."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from gtn_nas.errors import ConfigError, UnknownNameError
from gtn_nas.ranking.columns import NUMERIC_COLUMNS, loss_of
from gtn_nas.ranking.limits import Limit
from gtn_nas.ranking.pareto import front
from gtn_nas.ranking.ranking import ranked
from gtn_nas.ranking.score import Score
from gtn_nas.trial import Record, Status


def named_columns(
    rank_by: str | None,
    objectives: Sequence[str],
    limits: Sequence[str],
    columns: Collection[str] = NUMERIC_COLUMNS,
) -> tuple[str, ...]:
    """Return the columns that a configuration names as goals, each once; the score's come first.

    Args:
        rank_by: the score, see ``Score.parse``; ``None`` if the configuration names none.
        objectives: columns that are optimised together with the score.
        limits: limits on columns, see ``Limit.parse``.
        columns: all columns that a candidate can have.

    Raises:
        UnknownNameError: a goal names a column that is not in ``columns``.
        ConfigError: the score or a limit cannot be read, or a column is named twice.
    """
    score = () if rank_by is None else Score.parse(rank_by).columns
    named = [("column to rank by", name) for name in score]
    named += [("objective", name) for name in objectives]
    named += [("column to limit", limit.column) for limit in map(Limit.parse, limits)]
    for kind, name in named:
        if name not in columns:
            raise UnknownNameError(kind, name, columns)
    for name in set(objectives):
        # A column such as params may be an objective and one of several columns of the score:
        # a large network is likely to be accurate, and it is expensive.
        if score == (name,) or objectives.count(name) > 1:
            what = "what candidates are ranked by" if name in score else "named twice"
            raise ConfigError(f"the objective {name!r} is {what}; leave it out")
    if len(set(score)) < len(score):
        raise ConfigError(f"the score {rank_by!r} names a column twice; leave one out")
    return tuple(dict.fromkeys(name for _, name in named))


@dataclass(frozen=True)
class Goals:
    """The rules by which one candidate is better than another.

    Attributes:
        score: the score that candidates are ranked by.
        objectives: columns that are optimised together with the score, each in its own direction.
        limits: limits that a candidate must keep to be eligible.
    """

    score: Score
    objectives: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = ()

    @classmethod
    def parse(
        cls,
        rank_by: str,
        objectives: Sequence[str],
        limits: Sequence[str],
        columns: Collection[str] = NUMERIC_COLUMNS,
    ) -> Goals:
        """Read goals as a configuration holds them; see ``named_columns``.

        Raises:
            UnknownNameError: a column is unknown.
            ConfigError: the score or a limit cannot be read, or a column is named twice.
        """
        named_columns(rank_by, objectives, limits, columns)
        return cls(Score.parse(rank_by), tuple(objectives), tuple(map(Limit.parse, limits)))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the score, the objectives and the limits, each once."""
        limits = (limit.column for limit in self.limits)
        return tuple(dict.fromkeys([*self.score.columns, *self.objectives, *limits]))

    def without(self, columns: Collection[str]) -> Goals:
        """Return these goals without some columns.

        During a search, goals cannot use columns that are measured only after all candidates.

        Args:
            columns: the columns to leave out.

        Raises:
            ConfigError: no column of the score is left.
        """
        score = self.score.without(columns)
        if score is None:
            late = self.score.columns[0]
            raise ConfigError(
                f"{self.score} alone cannot rank, since it is measured only when all candidates "
                f"are; rank by another column, with --objective {late} or --limit '{late}<=5'"
            )
        objectives = tuple(name for name in self.objectives if name not in columns)
        limits = tuple(limit for limit in self.limits if limit.column not in columns)
        return Goals(score, objectives, limits)

    def ranked(self, records: Iterable[Record]) -> list[Record]:
        """Sort candidates best first; see ``ranking.ranked``."""
        return ranked(records, self.score, self.limits)

    def eligible(self, record: Record) -> bool:
        """Tell whether a candidate was evaluated successfully and keeps all limits."""
        return record.status is Status.OK and all(v <= 0 for v in self.violations(record))

    def violations(self, record: Record) -> list[float]:
        """Return for each limit how far a candidate exceeds it; at most 0 if it is kept."""
        return [limit.violation(record) for limit in self.limits]

    def front(self, ranking: Sequence[Record]) -> list[Record]:
        """Return the Pareto front of score and objectives.

        Only eligible candidates at the largest budget count, since scores of different budgets
        cannot be compared.

        Args:
            ranking: candidates, best first.

        Returns:
            The candidates on the front, best first.
        """
        eligible = [record for record in ranking if self.eligible(record)]
        full = max((record.budget for record in eligible), default=0)
        comparable = [record for record in eligible if record.budget == full]
        ranks = self.score.ranks(comparable)

        def losses(item: tuple[float, Record]) -> list[float | None]:
            rank, record = item
            scored = None not in self.score.losses(record)
            return [rank if scored else None, *(loss_of(record, name) for name in self.objectives)]

        return [r for _, r in front(list(zip(ranks, comparable, strict=True)), losses)]

    def wanted(self, ranking: Sequence[Record]) -> list[Record]:
        """Return the candidates that are worth a full training, best first.

        With objectives, these are the candidates on the Pareto front; without objectives, all
        eligible ones.
        """
        if self.objectives:
            return self.front(ranking)
        return [record for record in ranking if self.eligible(record)]


class RunningLosses:
    """Losses for the score and the objectives of each record, computed as records arrive.

    Lower losses are better. A score of several columns depends on the ranks among all records,
    which are known only after a search. So its loss is estimated: for each column, the share of
    earlier records that are better, and these shares are aggregated as ranks are. All losses of a
    failed record are ``None``.
    """

    def __init__(self, goals: Goals) -> None:
        self.goals = goals
        self._seen: list[list[float]] = [[] for _ in goals.score.columns]

    def __call__(self, record: Record) -> list[float | None]:
        """Return the losses of the next record: first the score's, then one for each objective."""
        objectives = self.goals.objectives
        if record.status is not Status.OK:
            return [None] * (1 + len(objectives))
        return [self._score(record), *(loss_of(record, name) for name in objectives)]

    def _score(self, record: Record) -> float | None:
        losses = [loss for loss in self.goals.score.losses(record) if loss is not None]
        if len(losses) < len(self._seen):
            return None
        if len(losses) == 1:
            return losses[0]
        shares = []
        for seen, loss in zip(self._seen, losses, strict=True):
            shares.append((bisect_left(seen, loss) + 0.5) / (len(seen) + 1))
            insort(seen, loss)
        return self.goals.score.aggregate(shares, after_last=1.0)
