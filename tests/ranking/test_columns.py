import math

import pytest

from gtn_nas.ranking.columns import lower_is_better, lower_ranks_first, quoted, value_of

from ..results.samples import record

HIGHER = [
    "proxy_accuracy",
    "gtn_drop",
    "gtn_improvement",
    "untrained_accuracy",
    "real_accuracy",
    "nwot",
    "jacob_cov",
    "synflow",
    "snip",
    "grad_norm",
    "zico",
]
LOWER = [
    "proxy_loss",
    "untrained_loss",
    "real_loss",
    "real_training_loss",
    "gtn_s",
    "gtn_untrained_s",
    "real_steps_s",
    "zero_cost_s",
    "train_s",
    "eval_s",
    "latency_ms",
]
SIZES = ["params", "flops", "depth"]
OTHERS = ["budget", "seed", "ask_index", "tell_index", "threads", "attempt", "schema_version"]
"""Numbers of a candidate that no proxy fills."""


@pytest.mark.parametrize("column", [*HIGHER, *OTHERS, "someones_own"])
def test_higher_values_are_better(column):
    assert not lower_is_better(column)
    assert not lower_ranks_first(column)


@pytest.mark.parametrize("column", LOWER)
def test_losses_and_times_should_be_small(column):
    assert lower_is_better(column)
    assert lower_ranks_first(column)


@pytest.mark.parametrize("column", SIZES)
def test_a_size_is_a_cost_but_ranks_the_larger_network_first(column):
    assert lower_is_better(column)
    assert not lower_ranks_first(column)


def test_a_column_that_is_not_declared_has_no_direction_by_its_name():
    assert not lower_is_better("someones_loss")


def test_a_value_is_finite_or_missing():
    found = record(0, proxy_loss=0.5, proxy_accuracy=math.nan, extra={"synflow": 2.0})
    columns = ("proxy_loss", "proxy_accuracy", "synflow", "nothing")
    assert [value_of(found, column) for column in columns] == [0.5, None, 2.0, None]


def test_a_name_is_quoted_for_sql():
    assert quoted('a"b') == '"a""b"'
