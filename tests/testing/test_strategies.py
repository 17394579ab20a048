"""Whether the checks of strategies catch what they are for; those that ship pass them elsewhere."""

import pytest

from gtn_nas.strategies.random_search import RandomSearch
from gtn_nas.testing import strategies as rules
from gtn_nas.testing.strategies import CHECKS, check_strategy

from . import broken


@pytest.mark.parametrize(
    ("make", "rule", "told"),
    [
        (
            broken.OfItsOwnRandomness,
            rules.same_asks_and_tells_give_the_same_trials,
            "seed 0: made twice, .* different trials; draw from the rng",
        ),
        (
            broken.CountsCalls,
            rules.records_may_be_told_one_by_one_or_all_at_once,
            "records that were told at once led to other trials",
        ),
        (
            broken.AsksInBatches,
            rules.many_asks_at_once_are_single_asks,
            "asked for several trials at once",
        ),
        (
            broken.NotCanonical,
            rules.every_ask_is_canonical_within_the_budget_and_numbered,
            "is not in canonical form: .*'depth'.*; make architectures by space.sample",
        ),
        (
            broken.BeyondTheBudget,
            rules.every_ask_is_canonical_within_the_budget_and_numbered,
            "ask 0 has a budget of 33; it must be between 1 and that of the context, 32",
        ),
        (
            broken.WithoutABudget,
            rules.every_ask_is_canonical_within_the_budget_and_numbered,
            "a budget of 0",
        ),
        (
            broken.Unnumbered,
            rules.every_ask_is_canonical_within_the_budget_and_numbered,
            "ask 1 carries the number 0; leave ask as it is",
        ),
        (
            broken.PromotesStrangers,
            rules.only_known_architectures_are_promoted_and_an_end_is_reached,
            "which was never asked",
        ),
        (
            broken.PromotesForEver,
            rules.only_known_architectures_are_promoted_and_an_end_is_reached,
            "at a budget of 32 after one of 32; the next must be larger",
        ),
        (
            broken.GivesUp,
            rules.failures_and_repeated_records_are_borne,
            "after 25 candidates that ended as 'failed', only . different ones",
        ),
        (
            broken.OfHashes,
            rules.another_process_asks_for_the_same_without_torch_and_ray,
            r"proposed other architectures; does something depend on .* hash\(\)",
        ),
        (
            broken.NeedsTorch,
            rules.another_process_asks_for_the_same_without_torch_and_ray,
            "it imported torch, which take seconds",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_broken_rule_is_named(make, rule, told):
    with pytest.raises(AssertionError, match=told):
        rule(make)
    with pytest.raises(AssertionError):
        check_strategy(make)


def test_what_a_strategy_raises_of_a_failure_is_not_hidden():
    with pytest.raises(TypeError, match="'NoneType' and 'float'"):
        check_strategy(broken.NeedsScores)


def test_what_another_process_cannot_import_is_told():
    class Local(RandomSearch):
        """It has no place that another process could find it at."""

    with pytest.raises(AssertionError, match="define it at the top of a module"):
        check_strategy(Local)


def test_a_function_may_choose_further_arguments():
    check_strategy(of_random)


def of_random(context):
    return RandomSearch(context)


def test_every_rule_has_a_strategy_that_breaks_it():
    (mark,) = test_a_broken_rule_is_named.pytestmark
    assert {rule for _, rule, _ in mark.args[1]} == set(CHECKS)
