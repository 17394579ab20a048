"""A strategy of one's own: ``gtn-nas search --strategy examples.own_strategy:HillClimbing``."""

import random
from collections.abc import Sequence

from gtn_nas import Record, Strategy, StrategyContext, Trial


class HillClimbing(Strategy):
    """Mutates the best candidate of a climb, and begins another where no more is gained.

    Local search is a strong baseline (White et al. 2021, arXiv 2005.02960).

    Args:
        context: what it is told of its search.
        patience: candidates in a row that did not gain anything, after which a climb ends.
    """

    def __init__(self, context: StrategyContext, patience: int = 20) -> None:
        super().__init__(context)
        self.patience = patience
        self.climb: list[Record] = []

    def tell(self, records: Sequence[Record]) -> None:
        """Add a start, or a child of this climb; children of earlier ones come too late."""
        for record in filter(self.context.eligible, records):
            keys = {earlier.key for earlier in self.climb}
            if record.parent_key is None or record.parent_key in keys:
                self.climb.append(record)

    def propose(self, rng: random.Random) -> Trial:
        """Mutate the best of the climb; draw an architecture where there is none yet."""
        if self.climb:
            best = self.context.ranked(self.climb)[0]
            if len(self.climb) - self.climb.index(best) <= self.patience:
                child = self.space.mutate(best.architecture, rng)
                return Trial(child, self.budget, parent_key=best.key)
            self.climb = []
        return Trial(self.space.sample(rng), self.budget)
