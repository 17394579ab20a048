from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtn_nas.errors import ConfigError
from gtn_nas.testing.strategies import finish, ranked
from gtn_nas.trial import Status

from .candidates import halving, random_search

some = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 2**31 - 1)
statuses = st.lists(st.sampled_from([Status.OK] * 4 + [Status.DIVERGED]), max_size=60)


def finished(seed, count, budget=8):
    """Records of random candidates of which no two are equal, the best first."""
    records = {r.key: r for r in map(finish, random_search(seed).ask(2 * count))}
    some = [replace(record, budget=budget) for record in records.values()]
    return ranked(some[:count])


@pytest.mark.parametrize(
    ("steps", "budgets"),
    [(32, [8, 16, 32]), (48, [12, 24, 48]), (4, [1, 2, 4]), (3, [1, 3]), (1, [1])],
)
def test_the_budgets_of_a_lesson(steps, budgets):
    assert halving(0, budget=steps).budgets == budgets


def test_the_factor_decides_the_budgets():
    assert halving(0, eta=3).budgets == [3, 10, 32]
    assert halving(0, eta=2, rungs=5).budgets == [2, 4, 8, 16, 32]
    assert halving(0, rungs=1).budgets == [32]


@some
@given(seed=seeds)
def test_new_architectures_are_random_and_take_the_first_steps(seed):
    asked = halving(seed).ask(10)
    assert {trial.budget for trial in asked} == {8}
    expected = [trial.architecture for trial in random_search(seed).ask(10)]
    assert [trial.architecture for trial in asked] == expected


@some
@given(seed=seeds)
def test_a_promotion_waits_for_nobody(seed):
    """Two of ten have finished: the better one goes on at once, while eight are under way."""
    strategy = halving(seed)
    first, second, *_ = strategy.ask(10)
    strategy.tell([finish(first)])
    assert strategy.ask(1)[0].budget == 8
    strategy.tell([finish(second)])
    best = ranked(map(finish, (first, second)))[0]
    promoted, new = strategy.ask(2)
    assert (promoted.architecture.key, promoted.budget) == (best.key, 16)
    assert promoted.parent_key is None
    assert new.budget == 8


@some
@given(seed=seeds, statuses=statuses, eta=st.integers(2, 4))
def test_only_the_best_of_a_rung_are_promoted_and_each_once(seed, statuses, eta):
    strategy = halving(seed, eta=eta)
    rungs = {budget: {} for budget in strategy.budgets}
    promoted = set()
    for status in statuses:
        (trial,) = strategy.ask(1)
        key, level = trial.architecture.key, strategy.budgets.index(trial.budget)
        if level:
            below = ranked(rungs[strategy.budgets[level - 1]].values())
            assert key in [record.key for record in below[: len(below) // eta]]
            assert (key, level) not in promoted
            promoted.add((key, level))
        record = finish(trial, status)
        strategy.tell([record])
        if status is Status.OK:
            rungs[trial.budget][key] = record
    for trial in strategy.ask(100, new=False):
        promoted.add((trial.architecture.key, strategy.budgets.index(trial.budget)))
    for level, budget in enumerate(strategy.budgets[:-1], start=1):
        best = ranked(rungs[budget].values())[: len(rungs[budget]) // eta]
        assert {(record.key, level) for record in best} <= promoted


@some
@given(seed=seeds)
def test_the_highest_rung_promotes_first(seed):
    strategy = halving(seed)
    low, high = finished(seed, 2, budget=8), finished(seed + 1, 2, budget=16)
    strategy.tell(low + high)
    asked = [(trial.architecture.key, trial.budget) for trial in strategy.ask(3)]
    assert asked[:2] == [(high[0].key, 32), (low[0].key, 16)]
    assert asked[2][1] == 8


@some
@given(seed=seeds)
def test_who_may_not_be_promoted_does_not_count(seed):
    records = finished(seed, 8)
    banned = {record.key for record in records[:4]}
    strategy = halving(seed, eligible=lambda record: record.key not in banned)
    strategy.tell(records)
    asked = strategy.ask(100, new=False)
    assert [trial.architecture.key for trial in asked] == [r.key for r in records[4:6]]


@some
@given(seed=seeds, data=st.data())
def test_what_is_told_again_changes_nothing(seed, data):
    records = finished(seed, 8)
    again = data.draw(st.lists(st.sampled_from(records)))
    once, twice = halving(seed), halving(seed)
    once.tell(records)
    twice.tell(records + again)
    assert once.ask(10) == twice.ask(10)


@pytest.mark.parametrize("options", [{"eta": 1}, {"rungs": 0}])
def test_what_halves_nothing_is_refused(options):
    with pytest.raises(ConfigError, match="cannot halve"):
        halving(0, **options)
