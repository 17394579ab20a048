"""Random search: the baseline that every other strategy must beat."""

from __future__ import annotations

import random
from collections.abc import Sequence

from gtn_nas.strategies.base import Strategy
from gtn_nas.trial import Record, Trial


class RandomSearch(Strategy):
    """Samples every architecture independently of all records."""

    def tell(self, records: Sequence[Record]) -> None:
        """Ignore the records."""

    def propose(self, rng: random.Random) -> Trial:
        """Sample one architecture."""
        return Trial(self.space.sample(rng), self.budget)
