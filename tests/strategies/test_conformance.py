"""What every strategy must do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtn_nas.trial import Status

from .candidates import BUDGET, SPACE, STRATEGIES, finish

every_strategy = pytest.mark.parametrize("make", STRATEGIES.values(), ids=STRATEGIES)
some = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 2**31 - 1)
statuses = st.lists(st.sampled_from(Status), max_size=25)
mostly_ok = st.lists(
    st.sampled_from([Status.OK] * 5 + [Status.DIVERGED, Status.TIMEOUT]), min_size=1, max_size=25
)
# How many are asked for, and how many of those under way are then told, the latest first.
histories = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=10)


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


def live(strategy, history):
    """Ask and tell as told to; every trial."""
    trials, under_way = [], []
    for asks, tells in history:
        asked = strategy.ask(asks)
        trials += asked
        under_way += asked
        for _ in range(min(tells, len(under_way))):
            trial = under_way.pop()
            failed = trial.ask_index % 5 == 3
            strategy.tell([finish(trial, Status.FAILED if failed else Status.OK)])
    return trials


@every_strategy
@some
@given(seed=seeds, history=histories)
def test_the_same_seed_asks_and_tells_give_the_same_trials(make, seed, history):
    """So that a run is resumed by asking and telling again."""
    one, other = make(seed), make(seed)
    assert live(one, history) == live(other, history)
    assert one.ask(5) == other.ask(5)


@every_strategy
@some
@given(seed=seeds)
def test_another_seed_gives_other_asks(make, seed):
    assert make(seed).ask(20) != make(seed + 1).ask(20)


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
def test_every_ask_is_a_canonical_architecture_at_a_budget_and_is_numbered(make, seed, statuses):
    strategy = make(seed)
    trials, _ = search(strategy, statuses)
    assert [trial.ask_index for trial in trials] == list(range(len(trials)))
    for trial in trials:
        assert trial.budget in getattr(strategy, "budgets", [BUDGET])
        assert trial.architecture == SPACE.architecture(trial.architecture.choices)


@every_strategy
@some
@given(seed=seeds, statuses=mostly_ok)
def test_without_new_architectures_only_known_ones_are_asked_for(make, seed, statuses):
    strategy = make(seed)
    trials, _ = search(strategy, statuses)
    known = {trial.architecture.key: trial.budget for trial in trials}
    index = len(trials)
    for trial in strategy.ask(100, new=False):
        assert trial.budget > known[trial.architecture.key]
        assert trial.ask_index == index
        index += 1
    assert strategy.ask(1, new=False) == []
    assert strategy.ask(1)[0].ask_index == index


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


ELSEWHERE = """
import json, sys
from tests.strategies.candidates import STRATEGIES
from tests.strategies.test_conformance import Status, search
keys = {n: [t.architecture.key for t in search(make(7), [Status.OK] * 15)[0]]
        for n, make in STRATEGIES.items()}
print(json.dumps([keys, sorted({"torch", "ray"} & set(sys.modules))]))
"""


def test_another_process_asks_for_the_same_and_needs_neither_torch_nor_ray():
    command = [sys.executable, "-c", ELSEWHERE]
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONHASHSEED": "12"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=root, env=environment
    )
    keys, heavy = json.loads(done.stdout)
    assert heavy == []
    for name, make in STRATEGIES.items():
        trials, _ = search(make(7), [Status.OK] * 15)
        assert keys[name] == [trial.architecture.key for trial in trials]
