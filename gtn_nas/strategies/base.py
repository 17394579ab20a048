"""What every strategy offers."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

from gtn_nas.spaces.base import SearchSpace
from gtn_nas.trial import Record, Status, Trial


def succeeded(record: Record) -> bool:
    """Tell whether an evaluation ended ``ok``: what a strategy may build on by default."""
    return record.status is Status.OK


class Strategy(ABC):
    """Proposes trials and learns from their records.

    Its state follows from the space, the seed, and what was asked and told in which order; the
    randomness of an ask comes from (seed, ask_index) alone. So a run is resumed by asking and
    telling again what is stored.

    Args:
        space: where architectures come from.
        budget: training steps of a trial that takes the whole lesson.
        seed: the run's seed.
    """

    def __init__(self, space: SearchSpace, budget: int, seed: int) -> None:
        self.space, self.budget, self.seed = space, budget, seed
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
        """Learn from finished trials, failed ones included."""

    @abstractmethod
    def propose(self, rng: random.Random) -> Trial:
        """Propose one new trial; its ask index is filled in by ``ask``."""

    def promote(self) -> Trial | None:
        """Propose a known architecture at a larger budget, if one deserves it; by default, none."""
        return None
