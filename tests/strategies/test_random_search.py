from hypothesis import given, settings
from hypothesis import strategies as st

from gtn_nas.testing.strategies import SPACE, finish

from .candidates import random_search


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), told=st.integers(0, 20))
def test_what_is_told_changes_nothing(seed, told):
    strategy, deaf = random_search(seed), random_search(seed)
    strategy.tell([finish(trial) for trial in random_search(seed + 1).ask(told)])
    assert strategy.ask(10) == deaf.ask(10)


def test_no_trial_has_a_parent():
    assert all(trial.parent_key is None for trial in random_search(0).ask(50))


def test_every_option_is_reached():
    asked = [trial.architecture.choices for trial in random_search(0).ask(300)]
    for name, options in SPACE.choices.items():
        assert {choices[name] for choices in asked if name in choices} == set(options)


def test_seeds_that_follow_each_other_share_no_asks():
    """As they would if the seed and the index of an ask were added up."""
    keys = [{t.architecture.key for t in random_search(seed).ask(50)} for seed in (0, 1)]
    assert not keys[0] & keys[1]
