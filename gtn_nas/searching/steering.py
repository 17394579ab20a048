"""Make the context of a strategy: the goals of its search, as functions that it can call."""

from __future__ import annotations

from gtn_nas.ranking.goals import Goals, RunningLosses
from gtn_nas.spaces.base import SearchSpace
from gtn_nas.strategies.base import StrategyContext


def strategy_context(
    space: SearchSpace, budget: int, seed: int, goals: Goals, sampler: str | None = None
) -> StrategyContext:
    """Return the ``StrategyContext`` of a search.

    Args:
        space: the search space.
        budget: training steps of a trial that takes the whole lesson.
        seed: the run's seed.
        goals: score, objectives and limits of the search, without columns (such as latency) that
            are measured only after all candidates are evaluated.
        sampler: the setting ``sampler``.
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
