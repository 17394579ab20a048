"""A strategy that proposes given architectures, one after the other."""

from __future__ import annotations

import random
from collections.abc import Sequence

from gtn_nas.architecture import Architecture
from gtn_nas.strategies.base import Strategy, StrategyContext
from gtn_nas.trial import Record, Trial


class Listed(Strategy):
    """Proposes the architectures of a list in order, and starts again after the last.

    Args:
        context: the search's context.
        architectures: one or more architectures.
    """

    def __init__(self, context: StrategyContext, architectures: Sequence[Architecture]) -> None:
        super().__init__(context)
        self.architectures = architectures

    def tell(self, records: Sequence[Record]) -> None:
        """Ignore the records."""

    def propose(self, rng: random.Random) -> Trial:
        """Propose the next architecture of the list."""
        place = self._ask_index % len(self.architectures)
        return Trial(self.architectures[place], self.budget)
