"""What every registered strategy must do, and the example of a user's own."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtn_nas.strategies import STRATEGIES, get_strategy
from gtn_nas.testing.strategies import CHECKS, context, search
from gtn_nas.trial import Status

from .candidates import small_evolution

SPECS = [*STRATEGIES, "examples.own_strategy:HillClimbing"]
MAKERS = {spec: get_strategy(spec) for spec in SPECS} | {"small evolution": small_evolution}

every_strategy = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
some = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 2**31 - 1)
statuses = st.lists(st.sampled_from(Status), max_size=25)


@every_strategy
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_the_rule(make, check):
    check(make)


# what those here do beyond the rules


@every_strategy
@some
@given(seed=seeds)
def test_another_seed_gives_other_asks(make, seed):
    assert make(context(seed)).ask(20) != make(context(seed + 1)).ask(20)


@every_strategy
@some
@given(seed=seeds, statuses=statuses)
def test_failed_trials_change_no_ask(make, seed, statuses):
    """Failures are worth as little as trials never told."""
    _, records = search(make(context(seed)), statuses)
    told, spared = make(context(seed)), make(context(seed))
    told.tell(records)
    spared.tell([record for record in records if record.status is Status.OK])
    assert told.ask(5) == spared.ask(5)
