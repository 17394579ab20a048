import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtn_nas.errors import ConfigError
from gtn_nas.testing.strategies import finish, ranked, score
from gtn_nas.trial import Status

from .candidates import evolution, random_search

some = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 2**31 - 1)


def finished(seed, count):
    """Records of random candidates of which no two are equal."""
    records = {r.key: r for r in map(finish, random_search(seed).ask(2 * count))}
    return list(records.values())[:count]


@some
@given(seed=seeds, told=st.integers(0, 3))
def test_asks_are_random_until_the_population_is_full(seed, told):
    strategy = evolution(seed, population=4)
    strategy.tell(finished(seed + 1, told))
    assert strategy.ask(10) == random_search(seed).ask(10)
    strategy.tell(finished(seed + 2, 4 - told))
    assert all(trial.parent_key is not None for trial in strategy.ask(10))


@some
@given(seed=seeds)
def test_the_first_population_follows_from_the_seed(seed):
    first = evolution(seed, population=10).ask(10)
    assert evolution(seed, population=10).ask(10) == first
    assert evolution(seed + 1, population=10).ask(10) != first


@some
@given(seed=seeds)
def test_parents_are_alive_and_the_worst_of_them_are_passed_over(seed):
    records = finished(seed, 12)
    strategy = evolution(seed, population=8, sample=3)
    strategy.tell(records)
    parents = {trial.parent_key for trial in strategy.ask(60)}
    by_rank = [record.key for record in ranked(records[-8:])]
    assert len(parents) > 1
    assert parents <= set(by_rank[:6])  # the last two of eight win no sample of three


@some
@given(seed=seeds)
def test_of_the_whole_population_the_best_is_the_parent(seed):
    records = finished(seed, 6)
    strategy = evolution(seed, population=6, sample=6)
    strategy.tell(records)
    best = ranked(records)[0]
    assert {trial.parent_key for trial in strategy.ask(10)} == {best.key}


@some
@given(seed=seeds)
def test_the_oldest_retire_however_good_they_are(seed):
    """One better than all others is the parent for as long as the population lasts."""
    *others, best = reversed(ranked(finished(seed, 9)))
    strategy = evolution(seed, population=4, sample=4)
    strategy.tell([*others[:3], best])
    for record in others[3:6]:
        strategy.tell([record])
        assert strategy.ask(1)[0].parent_key == best.key
    strategy.tell([others[6]])
    assert strategy.ask(1)[0].parent_key == ranked(others[3:7])[0].key


@some
@given(seed=seeds)
def test_a_child_is_another_architecture_one_change_away(seed):
    records = {record.key: record for record in finished(seed, 4)}
    strategy = evolution(seed)
    strategy.tell(list(records.values()))
    for trial in strategy.ask(20):
        assert trial.parent_key != trial.architecture.key
        parent = records[trial.parent_key].architecture.choices
        child = trial.architecture.choices
        changed = {name for name in parent.keys() & child.keys() if parent[name] != child[name]}
        # A new width can also leave no two layers between which a residual is possible.
        assert len(changed - {"residual"}) == 1 or changed == {"residual"}


@some
@given(seed=seeds, status=st.sampled_from([s for s in Status if s is not Status.OK]))
def test_failures_never_become_parents_nor_drive_anyone_out(seed, status):
    strategy = evolution(seed)
    alive = finished(seed, 4)
    strategy.tell(alive)
    strategy.tell([finish(trial, status) for trial in random_search(seed + 1).ask(9)])
    assert list(strategy.population) == alive


@some
@given(seed=seeds)
def test_who_is_not_eligible_never_becomes_a_parent(seed):
    records = finished(seed, 8)
    best = ranked(records)[0]
    strategy = evolution(seed, 4, 4, eligible=lambda record: record.key != best.key)
    strategy.tell(records)
    assert best.key not in {trial.parent_key for trial in strategy.ask(20)}
    assert best not in strategy.population


def test_it_finds_better_candidates_than_random_search():
    def mean_of_the_last(strategy):
        scores = []
        for _ in range(200):
            (trial,) = strategy.ask(1)
            strategy.tell([finish(trial)])
            scores.append(score(trial.architecture))
        return statistics.mean(scores[-50:])

    assert mean_of_the_last(random_search(0)) < 0.5
    assert mean_of_the_last(evolution(0, population=20, sample=5)) > 0.8


@pytest.mark.parametrize(("population", "sample"), [(4, 5), (4, 0), (0, 1), (0, 0)])
def test_a_sample_that_the_population_cannot_give_is_refused(population, sample):
    with pytest.raises(ConfigError, match=f"a sample of {sample} from .* of {population}$"):
        evolution(0, population=population, sample=sample)
