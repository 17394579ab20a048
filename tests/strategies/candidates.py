"""The strategies that ship, made for the candidates of ``gtn_nas.testing``."""

from dataclasses import replace

from gtn_nas.strategies.base import StrategyContext
from gtn_nas.strategies.optuna_sampler import OptunaSampler
from gtn_nas.strategies.random_search import RandomSearch
from gtn_nas.strategies.regularized_evolution import RegularizedEvolution
from gtn_nas.strategies.successive_halving import SuccessiveHalving
from gtn_nas.testing.strategies import context


def random_search(seed):
    return RandomSearch(context(seed))


def evolution(seed, population=4, sample=2, **told):
    return RegularizedEvolution(replace(context(seed), **told), population, sample)


def halving(seed, eta=2, rungs=3, **told):
    return SuccessiveHalving(replace(context(seed), **told), eta, rungs)


def optuna_sampler(seed, **told):
    return OptunaSampler(replace(context(seed), **told))


def small_evolution(told: StrategyContext) -> RegularizedEvolution:
    """Evolution whose population is full before a check ends."""
    return RegularizedEvolution(told, population=4, sample=2)
