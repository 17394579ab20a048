"""The interface of every strategy, and the context that it gets from its search."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from gtn_nas.spaces.base import SearchSpace
from gtn_nas.trial import Record, Status, Trial


def succeeded(record: Record) -> bool:
    """Tell whether an evaluation ended ``ok``."""
    return record.status is Status.OK


@dataclass(frozen=True)
class StrategyContext:
    """Everything that a strategy knows of its search.

    Which of two records is better depends on the search's score, objectives and limits. A strategy
    does not see these; it calls the functions of this class.

    Attributes:
        space: the search space.
        budget: training steps of a trial that takes the whole lesson; the largest budget.
        seed: the run's seed.
        ranked: sorts candidates, best first. Several records of one candidate count as one, that
            of the largest budget. Records of larger budgets come before those of smaller ones;
            records beyond a limit and failed records come last.
        losses: returns a record's score, followed by the search's objectives; lower is better. A
            missing value is ``None``, as are all values of a failed record. The function compares
            a record with the records of earlier calls, so call it exactly once for each record
            that the strategy is told.
        eligible: tells whether a record succeeded within all limits. Only eligible records may
            become parents or be promoted.
        violations: returns, for each limit, by how much a record exceeds it: 0 or less means
            within the limit, and infinity means that the value is not known.
        objectives: number of values that ``losses`` returns: one for the score, and one for each
            objective of the search.
        sampler: the setting ``sampler``, for a strategy that takes one.

    Example:
        >>> from gtn_nas import StrategyContext
        >>> from gtn_nas.spaces import get_space
        >>> space = get_space("conv_chain")
        >>> context = StrategyContext(space, 32, seed=0, ranked=sorted, losses=lambda record: [])
        >>> context.budget, context.objectives, context.sampler
        (32, 1, None)
    """

    space: SearchSpace
    budget: int
    seed: int
    ranked: Callable[[Iterable[Record]], list[Record]]
    losses: Callable[[Record], Sequence[float | None]]
    eligible: Callable[[Record], bool] = succeeded
    violations: Callable[[Record], Sequence[float]] = lambda record: ()
    objectives: int = 1
    sampler: str | None = None


class Strategy(ABC):
    """Proposes trials and learns from their records.

    A strategy of your own is a subclass with ``propose`` and ``tell``; ``gtn_nas.testing`` checks
    whether it keeps these rules: its state must follow from the context and from the asks and tells
    in their order, and all its randomness must come from the ``rng`` that ``propose`` gets, which
    depends on the run's seed and the number of the ask. Therefore no state is ever saved: a resumed
    run repeats the stored asks and tells.

    Asks run ahead of tells, so that no worker waits: a search asks for at least eight trials at
    once, and the first of them are proposed before any record is known.

    Attributes:
        context: the search's context; ``space``, ``budget`` and ``seed`` are copied from it.
        takes_sampler: whether the strategy uses the setting ``sampler``.

    Args:
        context: the search's context.

    Example:
        >>> from gtn_nas import Strategy, Trial
        >>> from gtn_nas.testing.strategies import context
        >>> class Shallow(Strategy):
        ...     def propose(self, rng):
        ...         drawn = [self.space.sample(rng) for _ in range(9)]
        ...         return Trial(min(drawn, key=lambda a: a.choices["depth"]), self.budget)
        ...
        ...     def tell(self, records):
        ...         pass
        >>> [trial.architecture.choices["depth"] for trial in Shallow(context(seed=0)).ask(3)]
        [2, 2, 2]
    """

    takes_sampler: ClassVar[bool] = False

    def __init__(self, context: StrategyContext) -> None:
        self.context = context
        self.space, self.budget, self.seed = context.space, context.budget, context.seed
        self._ask_index = 0

    def ask(self, n: int, *, new: bool = True) -> list[Trial]:
        """Propose ``n`` trials: promotions first, then new architectures.

        Args:
            n: number of trials.
            new: allow new architectures; if false, fewer than ``n`` trials may be returned.
        """
        trials: list[Trial] = []
        while len(trials) < n:
            rng = random.Random(f"{self.seed}:{self._ask_index}")
            trial = self.promote() or (self.propose(rng) if new else None)
            if trial is None:
                break
            trials.append(replace(trial, ask_index=self._ask_index))
            self._ask_index += 1
        return trials

    @abstractmethod
    def tell(self, records: Sequence[Record]) -> None:
        """Learn from the records of finished trials.

        Some records are of failed trials. A record may be told more than once, and it may be of a
        trial that this strategy never proposed.
        """

    @abstractmethod
    def propose(self, rng: random.Random) -> Trial:
        """Propose one trial: an architecture of the space at a budget.

        The trial need not be new: a trial that was evaluated before is not evaluated again, but its
        record is told again.

        Args:
            rng: the only source of randomness that may be used.
        """

    def promote(self) -> Trial | None:
        """Propose a known architecture at a larger budget, or return ``None`` (the default)."""
        return None
