"""Regularised evolution: mutate the best of a random sample, and drop the oldest."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence

from gtn_nas.errors import ConfigError
from gtn_nas.strategies.base import Strategy, StrategyContext
from gtn_nas.trial import Record, Trial


class RegularizedEvolution(Strategy):
    """Ageing evolution by mutation alone.

    Source: Real et al. 2019, arXiv 1802.01548, algorithm 1. This version is asynchronous: until
    the population is full, every proposed architecture is random, and no ask waits for a slow
    trial. Only eligible records enter the population and can become parents.

    Args:
        context: the search's context; its seed also decides the first population.
        population: number of the latest records that form the population.
        sample: number of records, drawn from the population, of which the best is the parent.

    Raises:
        ConfigError: ``sample`` is not between one and ``population``.
    """

    def __init__(self, context: StrategyContext, population: int = 50, sample: int = 10) -> None:
        if not 1 <= sample <= population:
            raise ConfigError(f"cannot draw a sample of {sample} from a population of {population}")
        super().__init__(context)
        self.sample = sample
        self.population: deque[Record] = deque(maxlen=population)

    def tell(self, records: Sequence[Record]) -> None:
        """Add the records to the population; the oldest leave it."""
        self.population.extend(filter(self.context.eligible, records))

    def propose(self, rng: random.Random) -> Trial:
        """Mutate the best of a random sample; until the population is full, sample the space."""
        if len(self.population) < (self.population.maxlen or 0):
            return Trial(self.space.sample(rng), self.budget)
        parent = self.context.ranked(rng.sample(list(self.population), self.sample))[0]
        child = self.space.mutate(parent.architecture, rng)
        return Trial(child, self.budget, parent_key=parent.key)
