import statistics
import warnings

import pytest
from optuna.trial import TrialState

from gtn_nas.errors import ConfigError, UnknownNameError
from gtn_nas.spaces.base import SearchSpace
from gtn_nas.testing.strategies import finish, losses, score
from gtn_nas.trial import Record, Status

from .candidates import optuna_sampler

SAMPLERS = [
    "RandomSampler",
    "TPESampler",
    "NSGAIISampler",
    "NSGAIIISampler",
    "QMCSampler",
    "GPSampler",
]


class Coin(SearchSpace):
    """Two sides; nothing is ever built."""

    name = "coin"
    choices = {"side": ("heads", "tails")}  # noqa: RUF012  # never changed

    def build(self, *arguments, **options):
        raise AssertionError("a toy candidate is not built")


def search(strategy, count):
    """Evaluate one candidate after the other; all trials."""
    trials = []
    for _ in range(count):
        (trial,) = strategy.ask(1)
        strategy.tell([finish(trial)])
        trials.append(trial)
    return trials


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_any_sampler_that_needs_nothing_but_a_seed(sampler, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trials = [search(optuna_sampler(3, sampler=sampler), 8) for _ in range(2)]
    assert trials[0] == trials[1]
    assert len({trial.architecture.key for trial in trials[0]}) > 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("TPESamplr", "did you mean TPESampler"),
        ("nothing", "known: .*NSGAIISampler"),
        ("GridSampler", "unknown Optuna sampler"),  # it needs a grid
        ("BruteForceSampler", "unknown Optuna sampler"),
        ("BaseSampler", "unknown Optuna sampler"),
        ("nsgaii", "unknown Optuna sampler"),  # a module
    ],
)
def test_an_unknown_sampler_is_refused_and_the_nearest_is_named(name, text):
    with pytest.raises(UnknownNameError, match=text):
        optuna_sampler(0, sampler=name)


def test_a_sampler_that_cannot_weigh_objectives_is_refused_at_once():
    with pytest.raises(ConfigError, match="CmaEsSampler cannot be used here"):
        optuna_sampler(0, sampler="CmaEsSampler", objectives=2)


@pytest.mark.parametrize(("sampler", "count"), [("TPESampler", 50), ("NSGAIISampler", 150)])
def test_it_finds_better_candidates_than_chance(sampler, count):
    scores = [score(t.architecture) for t in search(optuna_sampler(0, sampler=sampler), count)]
    assert statistics.mean(scores[-20:]) > statistics.mean(scores[:10]) + 0.1


def depth(record):
    return record.architecture.choices["depth"]


def test_several_objectives_are_weighed():
    """Wide, and of few layers: neither goal alone."""
    strategy = optuna_sampler(
        0,
        losses=lambda record: [*losses(record), depth(record)],
        objectives=2,
        sampler="NSGAIISampler",
    )
    records = [finish(trial) for trial in search(strategy, 150)]
    per_layer = [-losses(record)[0] / depth(record) for record in records]
    assert statistics.mean(per_layer[-30:]) > statistics.mean(per_layer[:50]) + 0.01


def test_what_is_beyond_a_limit_is_avoided():
    """Deep networks are wide in all, so a search without limits ends there."""

    def share_of_shallow(**limits):
        late = search(optuna_sampler(0, **limits), 60)[-20:]
        return statistics.mean(trial.architecture.choices["depth"] <= 3 for trial in late)

    assert share_of_shallow() < 0.3
    assert share_of_shallow(violations=lambda record: [depth(record) - 3.0]) > 0.7


def test_a_record_answers_every_open_trial_of_its_architecture():
    strategy = optuna_sampler(0, space=Coin())
    trials = strategy.ask(6)
    assert len({trial.architecture.key for trial in trials}) == 2
    for trial in {trial.architecture.key: trial for trial in trials}.values():
        strategy.tell([Record.of(trial, Status.OK, proxy_accuracy=0.5)])
    assert [t.state for t in strategy._study.trials] == [TrialState.COMPLETE] * 6


@pytest.mark.parametrize(
    "record",
    [
        {"status": Status.CRASHED},
        {"status": Status.OK, "proxy_accuracy": None},
    ],
    ids=["crashed", "without a score"],
)
def test_what_has_no_score_is_told_as_failed(record):
    strategy = optuna_sampler(0, space=Coin())
    (trial,) = strategy.ask(1)
    strategy.tell([Record.of(trial, **record)])
    assert [t.state for t in strategy._study.trials] == [TrialState.FAIL]
