"""Strategies by name, and strategies of the user's own by ``module:Class``."""

from __future__ import annotations

from collections.abc import Mapping

from gtn_nas.config.class_registry import ClassRegistry
from gtn_nas.errors import ConfigError, GtnNasError, one_line
from gtn_nas.strategies.base import Strategy, StrategyContext

_REGISTRY = ClassRegistry(
    "strategy",
    Strategy,  # type: ignore[type-abstract]  # nothing is made of it
    "my_strategies:MyStrategy",
    {
        "random": (
            "gtn_nas.strategies.random_search:RandomSearch",
            "draws every architecture at random: the baseline that others must beat",
        ),
        "regularized_evolution": (
            "gtn_nas.strategies.regularized_evolution:RegularizedEvolution",
            "mutates the best of a few random ones among the latest 50 (Real et al., 2019)",
        ),
        "successive_halving": (
            "gtn_nas.strategies.successive_halving:SuccessiveHalving",
            "most candidates take a quarter of the lesson, the best all of it (Li et al., 2020)",
        ),
        "optuna": (
            "gtn_nas.strategies.optuna_sampler:OptunaSampler",
            "asks one of Optuna's samplers, TPESampler unless --sampler names another",
        ),
    },
)

STRATEGIES: Mapping[str, str] = _REGISTRY.texts
"""Registered names, each with one line about it."""


def get_strategy(spec: str) -> type[Strategy]:
    """Return the class of the strategy that ``spec`` names.

    Args:
        spec: a name from ``STRATEGIES``, or ``module:Class`` for a strategy of the user's own. The
            module is imported with the current directory first on the path.

    Raises:
        UnknownNameError: no such registered name, or no such class in the module.
        ConfigError: the module is not found or fails to import, or the class is not a strategy.
    """
    return _REGISTRY.find(spec)


def make_strategy(kind: type[Strategy], context: StrategyContext) -> Strategy:
    """Make a strategy for one search.

    Raises:
        GtnNasError: the strategy refuses the search, or its constructor fails.
    """
    try:
        return kind(context)
    except GtnNasError:
        raise
    except Exception as error:
        raise ConfigError(
            f"strategy {kind.__module__}:{kind.__qualname__} cannot be made of a StrategyContext "
            f"alone: {one_line(error)}"
        ) from error
