"""Asynchronous successive halving: most candidates take a part of the lesson, the best all."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

from gtn_nas.errors import ConfigError
from gtn_nas.strategies.base import Strategy, StrategyContext
from gtn_nas.trial import Record, Trial


class SuccessiveHalving(Strategy):
    """Asynchronous successive halving (ASHA) over the steps of a lesson.

    Source: Li et al. 2020, arXiv 1810.05934, algorithm 2. New architectures take the first steps of
    the lesson. As soon as a candidate is among the best ``1 / eta`` of all that finished with its
    budget, it is promoted: evaluated with the next larger budget. No candidate waits for a rung to
    fill. A promoted candidate is trained again from the same initial weights, so that its score
    does not depend on its earlier evaluation. The last rung takes the whole lesson. Records that
    are not eligible do not count in their rung.

    Args:
        context: the search's context.
        eta: reduction factor: the next rung's budget is ``eta`` times as large, and one in ``eta``
            candidates reaches it.
        rungs: largest number of budgets.

    Raises:
        ConfigError: ``eta`` is below two, or there is no rung.
    """

    def __init__(self, context: StrategyContext, eta: int = 2, rungs: int = 3) -> None:
        if eta < 2 or rungs < 1:
            raise ConfigError(f"cannot halve with a factor of {eta} over {rungs} rungs")
        super().__init__(context)
        self.eta = eta
        self.budgets = sorted({max(1, self.budget // eta**k) for k in range(rungs)})
        self._rungs: dict[int, list[Record]] = {budget: [] for budget in self.budgets}
        self._rankings: dict[int, list[Record]] = {}
        self._counted: set[tuple[str, int]] = set()
        self._promoted: set[tuple[str, int]] = set()

    def tell(self, records: Sequence[Record]) -> None:
        """Add each record to its rung; a record that is told again is not added again."""
        for record in filter(self.context.eligible, records):
            rung, place = self._rungs.get(record.budget), (record.key, record.budget)
            if rung is not None and place not in self._counted:
                self._counted.add(place)
                rung.append(record)
                self._rankings.pop(record.budget, None)

    def propose(self, rng: random.Random) -> Trial:
        """Sample an architecture for the lowest rung."""
        return Trial(self.space.sample(rng), self.budgets[0])

    def promote(self) -> Trial | None:
        """Promote the best candidate of the highest rung that has one to promote."""
        for budget, larger in reversed(list(pairwise(self.budgets))):
            ranking = self._ranking(budget)
            for record in ranking[: len(ranking) // self.eta]:
                if (record.key, budget) not in self._promoted:
                    self._promoted.add((record.key, budget))
                    return Trial(record.architecture, larger)
        return None

    def _ranking(self, budget: int) -> list[Record]:
        """Return the records of a rung, best first."""
        if budget not in self._rankings:
            self._rankings[budget] = self.context.ranked(self._rungs[budget])
        return self._rankings[budget]
