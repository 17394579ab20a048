"""What steers a strategy: the goals of its search, as functions that it is handed."""

from __future__ import annotations

from gtn_nas.ranking.goals import Goals, RunningLosses
from gtn_nas.spaces.base import SearchSpace
from gtn_nas.strategies.base import StrategyContext


def strategy_context(
    space: SearchSpace, budget: int, seed: int, goals: Goals, sampler: str | None = None
) -> StrategyContext:
    """Return what a strategy is told of a search; see ``StrategyContext``.

    Args:
        space: where architectures come from.
        budget: training steps of a trial that takes the whole lesson.
        seed: the run's seed.
        goals: what the search looks for, without what is known only when all candidates are.
        sampler: what the setting ``sampler`` says.
    """
    return StrategyContext(
        space,
        budget,
        seed,
        ranked=goals.ranked,
        losses=RunningLosses(goals),
        eligible=goals.eligible,
        violations=goals.violations,
        objectives=1 + len(goals.objectives),
        sampler=sampler,
    )
