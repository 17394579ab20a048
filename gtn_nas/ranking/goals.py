"""What a search looks for: a score, what is weighed against it, and limits."""

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
        rank_by: the score; see ``Score.parse``. ``None`` if it is not said.
        objectives: columns weighed against it.
        limits: what candidates must keep.
        columns: what candidates can have.

    Raises:
        UnknownNameError: a column is none of these.
        ConfigError: score or limit cannot be read, or a column is there twice.
    """
    score = () if rank_by is None else Score.parse(rank_by).columns
    named = [("column to rank by", name) for name in score]
    named += [("objective", name) for name in objectives]
    named += [("column to limit", limit.column) for limit in map(Limit.parse, limits)]
    for kind, name in named:
        if name not in columns:
            raise UnknownNameError(kind, name, columns)
    for name in set(objectives):
        # As a part of the score it may be there too: large networks promise accuracy and cost.
        if score == (name,) or objectives.count(name) > 1:
            what = "what candidates are ranked by" if name in score else "named twice"
            raise ConfigError(f"the objective {name!r} is {what}; leave it out")
    if len(set(score)) < len(score):
        raise ConfigError(f"the score {rank_by!r} names a column twice; leave one out")
    return tuple(dict.fromkeys(name for _, name in named))


@dataclass(frozen=True)
class Goals:
    """What makes one candidate better than another.

    Attributes:
        score: what ranks.
        objectives: columns that are weighed against the score, each in its own direction.
        limits: what a candidate must keep to be wanted at all.
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
            ConfigError: score or limit cannot be read, or a column is there twice.
        """
        named_columns(rank_by, objectives, limits, columns)
        return cls(Score.parse(rank_by), tuple(objectives), tuple(map(Limit.parse, limits)))

    @property
    def columns(self) -> tuple[str, ...]:
        """The score's columns and those of all objectives and limits, each once."""
        limits = (limit.column for limit in self.limits)
        return tuple(dict.fromkeys([*self.score.columns, *self.objectives, *limits]))

    def without(self, columns: Collection[str]) -> Goals:
        """Return the same goals but for columns that are known only when a search has ended.

        Raises:
            ConfigError: nothing of the score is left.
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
        """Tell whether a candidate succeeded within all limits."""
        return record.status is Status.OK and all(v <= 0 for v in self.violations(record))

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
        comparable = [record for record in eligible if record.budget == full]
        ranks = self.score.ranks(comparable)

        def losses(item: tuple[float, Record]) -> list[float | None]:
            rank, record = item
            scored = None not in self.score.losses(record)
            return [rank if scored else None, *(loss_of(record, name) for name in self.objectives)]

        return [r for _, r in front(list(zip(ranks, comparable, strict=True)), losses)]

    def wanted(self, ranking: Sequence[Record]) -> list[Record]:
        """Return what is worth a full training, best first: the front, where there are objectives.

        Without objectives it is every eligible candidate.
        """
        if self.objectives:
            return self.front(ranking)
        return [record for record in ranking if self.eligible(record)]


class RunningLosses:
    """Score and objectives of records one after the other, such that lower is better.

    A score of several columns is not a record's own. It becomes the share of earlier records that
    are better in each column, aggregated as ranks are, since nothing else of it is known before a
    search has ended. A failed record has none of these values.
    """

    def __init__(self, goals: Goals) -> None:
        self.goals = goals
        self._seen: list[list[float]] = [[] for _ in goals.score.columns]

    def __call__(self, record: Record) -> list[float | None]:
        """Return the losses of the next record."""
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
