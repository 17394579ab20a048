"""What every strategy offers."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence

from gtn_nas.spaces.base import SearchSpace
from gtn_nas.trial import Record, Trial


class Strategy(ABC):
    """Proposes trials and learns from their records.

    Its state follows from the space, the seed and the records in the order told; the randomness
    of an ask comes from (seed, ask_index) alone. So a run is resumed by telling the stored records
    again and setting ``next_ask_index``.

    Args:
        space: where architectures come from.
        budget: training steps of every trial.
        seed: the run's seed.
    """

    def __init__(self, space: SearchSpace, budget: int, seed: int) -> None:
        self.space, self.budget, self.seed = space, budget, seed
        self.next_ask_index = 0

    def ask(self, n: int) -> list[Trial]:
        """Propose ``n`` trials."""
        return [self._next() for _ in range(n)]

    @abstractmethod
    def tell(self, records: Sequence[Record]) -> None:
        """Learn from finished trials, failed ones included."""

    @abstractmethod
    def propose(self, rng: random.Random) -> Trial:
        """Propose one trial; its ask index is filled in by ``ask``."""

    def _next(self) -> Trial:
        index = self.next_ask_index
        self.next_ask_index += 1
        trial = self.propose(random.Random(f"{self.seed}:{index}"))
        return Trial(trial.architecture, trial.budget, index, trial.parent_key)
