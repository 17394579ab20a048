import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtn_nas.training.halving import Halving
from gtn_nas.training.train import EpochReport

ACCURACIES = st.lists(st.sampled_from([0.1, 0.5, 0.6, 0.9]), min_size=1, max_size=12)


def report(epoch, accuracy):
    return EpochReport(epoch, 1.0, accuracy, 1.0, 0.0)


@pytest.mark.parametrize(
    ("epochs", "milestones"), [(60, (7, 15, 30)), (8, (1, 2, 4)), (3, (1,)), (1, ())]
)
def test_milestones_are_an_eighth_a_quarter_and_half_of_the_epochs(epochs, milestones):
    assert Halving(epochs).milestones == milestones


@given(ACCURACIES)
def test_the_first_goes_on_and_later_ones_if_they_are_of_the_better_half(accuracies):
    halving = Halving(2)
    seen = []
    for i, accuracy in enumerate(accuracies):
        seen.append(accuracy)
        allowed = sorted(seen, reverse=True)[: max(1, len(seen) // 2)]
        assert halving.ends(f"{i}", report(1, accuracy)) is (accuracy < allowed[-1])


def test_between_milestones_nothing_ends():
    halving = Halving(8)
    assert not halving.ends("good", report(1, 0.9))
    assert halving.ends("bad", report(1, 0.1))
    assert not halving.ends("bad", report(3, 0.1))


def test_the_best_epoch_so_far_counts():
    halving = Halving(8)
    assert not halving.ends("good", report(2, 0.8))
    assert not halving.ends("falls", report(1, 0.9))
    assert not halving.ends("falls", report(2, 0.1))


def test_nothing_of_a_single_epoch_can_be_halved():
    assert not Halving(1).ends("bad", report(1, 0.0))


def test_an_epoch_that_is_told_again_counts_once():
    halving = Halving(2)
    for key in ("good", "good", "good"):
        assert not halving.ends(key, report(1, 0.9))
    assert halving.ends("bad", report(1, 0.1))
    assert not halving.ends("fair", report(1, 0.9))
