"""What every strategy offers, and what it is told of its search."""

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
    """What a strategy is told of its search: where to look, and which records are better.

    How records compare depends on the search's score, objectives and limits. A strategy knows none
    of them; it calls the functions here.

    Attributes:
        space: where architectures come from.
        budget: training steps of a trial that takes the whole lesson, the largest budget there is.
        seed: the run's seed.
        ranked: sorts records, the best first. Records of larger budgets come first, those beyond a
            limit and failed ones last.
        losses: returns a record's score, followed by the search's objectives; the lower, the
            better. ``None`` stands for a missing one, and a failed record has none. It compares a
            record with those that it was called with before: call it once for each that is told.
        eligible: tells whether a record succeeded within all limits, so that others may build on
            it.
        violations: returns for each limit how far a record is beyond it: at most 0 is within, and
            infinity means that it is not known.
        objectives: how many values ``losses`` returns: the score and the search's objectives.
        sampler: what the setting ``sampler`` says, for a strategy that takes one.

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
    whether it keeps the rules. Its state must follow from the context and from what was asked and
    told in which order. All its randomness must come from the ``rng`` that ``propose`` is given,
    which depends on the run's seed and the number of the ask. So no state is ever saved: a run is
    resumed by asking and telling again what is stored.

    Attributes:
        context: what it is told of its search; ``space``, ``budget`` and ``seed`` are from there.
        takes_sampler: whether the setting ``sampler`` means something to it.

    Args:
        context: what it is told of its search.

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
            n: how many.
            new: allow new architectures; without them, fewer than ``n`` may be proposed.
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
        """Learn from finished trials.

        Failed ones are told too, one may be told more than once, and what is told need not have
        been asked for.
        """

    @abstractmethod
    def propose(self, rng: random.Random) -> Trial:
        """Propose one trial: an architecture of the space at a budget.

        It need not be a new one: what was evaluated before is not evaluated again, but told again.

        Args:
            rng: where all randomness comes from.
        """

    def promote(self) -> Trial | None:
        """Propose a known architecture at a larger budget, if one deserves it; by default, none."""
        return None
