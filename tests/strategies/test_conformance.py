"""What every strategy must do."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtn_nas.trial import Status

from .candidates import BUDGET, SPACE, evolution, finish, random_search

STRATEGIES = {"random": random_search, "regularized_evolution": evolution}

every_strategy = pytest.mark.parametrize("make", STRATEGIES.values(), ids=STRATEGIES)
some = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 2**31 - 1)
statuses = st.lists(st.sampled_from(Status), max_size=40)
mostly_ok = st.lists(
    st.sampled_from([Status.OK] * 5 + [Status.DIVERGED, Status.TIMEOUT]), min_size=1, max_size=40
)


def search(strategy, statuses):
    """Evaluate one candidate after the other; every trial and every record."""
    trials, records = [], []
    for status in statuses:
        (trial,) = strategy.ask(1)
        record = finish(trial, status)
        strategy.tell([record])
        trials.append(trial)
        records.append(record)
    return trials, records


@every_strategy
@some
@given(seed=seeds, statuses=mostly_ok)
def test_the_same_seed_and_records_give_the_same_asks(make, seed, statuses):
    assert search(make(seed), statuses)[0] == search(make(seed), statuses)[0]


@every_strategy
@some
@given(seed=seeds)
def test_another_seed_gives_other_asks(make, seed):
    assert make(seed).ask(20) != make(seed + 1).ask(20)


@every_strategy
@some
@given(seed=seeds, statuses=mostly_ok, data=st.data())
def test_a_run_goes_on_from_its_stored_records(make, seed, statuses, data):
    stop = data.draw(st.integers(0, len(statuses)))
    undisturbed, records = search(make(seed), statuses)
    resumed = make(seed)
    resumed.tell(records[:stop])
    resumed.next_ask_index = stop
    assert search(resumed, statuses[stop:])[0] == undisturbed[stop:]


@every_strategy
@some
@given(seed=seeds, statuses=mostly_ok, data=st.data())
def test_records_may_be_told_one_by_one_or_all_at_once(make, seed, statuses, data):
    _, records = search(make(seed), statuses)
    cut = data.draw(st.integers(0, len(records)))
    at_once, in_parts = make(seed), make(seed)
    at_once.tell(records)
    for part in (records[:cut], [], records[cut:]):
        in_parts.tell(part)
    assert at_once.ask(5) == in_parts.ask(5)


@every_strategy
@some
@given(seed=seeds, statuses=mostly_ok, sizes=st.lists(st.integers(0, 4), max_size=5))
def test_many_asks_at_once_are_single_asks(make, seed, statuses, sizes):
    _, records = search(make(seed), statuses)
    single, many = make(seed), make(seed)
    single.tell(records)
    many.tell(records)
    asked = [trial for size in sizes for trial in many.ask(size)]
    assert asked == [trial for _ in range(sum(sizes)) for trial in single.ask(1)]


@every_strategy
@some
@given(seed=seeds, statuses=mostly_ok)
def test_every_ask_is_a_canonical_architecture_at_the_budget_and_is_numbered(make, seed, statuses):
    trials, _ = search(make(seed), statuses)
    assert [trial.ask_index for trial in trials] == list(range(len(trials)))
    for trial in trials:
        assert trial.budget == BUDGET
        assert trial.architecture == SPACE.architecture(trial.architecture.choices)


@every_strategy
@some
@given(seed=seeds, statuses=statuses)
def test_failed_trials_change_no_ask(make, seed, statuses):
    """Failures are worth as little as trials never told."""
    _, records = search(make(seed), statuses)
    told, spared = make(seed), make(seed)
    told.tell(records)
    spared.tell([record for record in records if record.status is Status.OK])
    assert told.ask(5) == spared.ask(5)


@every_strategy
def test_a_search_of_failures_goes_on(make):
    trials, _ = search(make(0), [Status.CRASHED] * 30)
    assert len({trial.architecture.key for trial in trials}) == 30
