"""Evaluations that cost nothing: a candidate is as good as it is wide."""

from gtn_nas.spaces import get_space
from gtn_nas.strategies.optuna_sampler import OptunaSampler
from gtn_nas.strategies.random_search import RandomSearch
from gtn_nas.strategies.regularized_evolution import RegularizedEvolution
from gtn_nas.strategies.successive_halving import SuccessiveHalving
from gtn_nas.trial import Record, Status

SPACE = get_space("conv_chain")
BUDGET = 32


def score(architecture):
    """The sum of all widths, as a share of the largest one."""
    widths = [value for name, value in architecture.choices.items() if name.startswith("width")]
    return sum(widths) / (6 * 56)


def finish(trial, status=Status.OK):
    if status is not Status.OK:
        return Record.of(trial, status, error="as drawn")
    return Record.of(trial, status, proxy_accuracy=score(trial.architecture))


def best_first(record):
    return (-record.proxy_accuracy, record.key)


def ranked(records):
    return sorted(records, key=best_first)


def losses(record):
    return [None if record.proxy_accuracy is None else -record.proxy_accuracy]


def random_search(seed):
    return RandomSearch(SPACE, BUDGET, seed)


def evolution(seed, population=4, sample=2):
    return RegularizedEvolution(SPACE, BUDGET, seed, ranked, population=population, sample=sample)


def halving(seed, **options):
    return SuccessiveHalving(SPACE, BUDGET, seed, ranked, **options)


def optuna_sampler(seed, **options):
    return OptunaSampler(SPACE, BUDGET, seed, losses, **options)


STRATEGIES = {
    "random": random_search,
    "regularized_evolution": evolution,
    "successive_halving": halving,
    "optuna": optuna_sampler,
}
