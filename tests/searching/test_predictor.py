"""The predictor on real candidates of conv_chain, with accuracies that follow from them."""

import math
from dataclasses import replace

import numpy as np
import pytest

from gtn_nas.proxies.size import count_flops, count_parameters
from gtn_nas.ranking.statistics import spearman
from gtn_nas.searching.predictor import predict
from gtn_nas.strategies.random_search import RandomSearch
from gtn_nas.testing.strategies import SPACE, context
from gtn_nas.trial import Record, Status

KNOWN = 20


def accuracy(record: Record) -> float:
    """Larger networks and those with batch normalisation are better."""
    batch_norm = record.architecture.choices["norm"] == "batch_norm"
    return 0.5 + 0.03 * math.log(record.params) + 0.05 * batch_norm


@pytest.fixture(scope="module")
def records() -> list[Record]:
    found = []
    for trial in RandomSearch(context(seed=0)).ask(60):
        network = SPACE.build(trial.architecture, (1, 8, 8), 10)
        sizes = {"params": count_parameters(network), "flops": count_flops(network, (1, 8, 8))}
        found.append(Record.of(trial, Status.OK, **sizes))
    return found


def known(records: list[Record]) -> list[tuple[Record, float]]:
    return [(record, accuracy(record)) for record in records[:KNOWN]]


def agreement(predicted: list[float], rest: list[Record]) -> float:
    return spearman(np.array(predicted), np.array([accuracy(record) for record in rest]))


def test_it_learns_from_sizes_and_choices(records):
    rest = records[KNOWN:]
    assert agreement(predict(known(records), rest, 0), rest) > 0.8
    choices_alone = [replace(r, params=None, flops=None) for r in records]
    pairs = list(zip(choices_alone, map(accuracy, records), strict=True))
    assert agreement(predict(pairs[:KNOWN], choices_alone[KNOWN:], 0), rest) > 0.4


def test_it_learns_from_further_proxies_but_not_from_times(records):
    rest = records[KNOWN:]

    def told(column: str) -> list[Record]:
        bare = (replace(r, params=None, flops=None) for r in records)
        return [replace(b, extra={column: accuracy(r)}) for b, r in zip(bare, records, strict=True)]

    def learned(column: str) -> float:
        pairs = [(r, accuracy(of)) for r, of in zip(told(column), records, strict=True)]
        return agreement(predict(pairs[:KNOWN], told(column)[KNOWN:], 0), rest)

    assert learned("nwot") > 0.95
    assert learned("gtn_s") < 0.9


def test_predictions_are_accuracies_and_follow_from_seed_and_candidates_alone(records):
    rest = records[KNOWN:]
    first = predict(known(records), rest, 0)
    reached = [value for _, value in known(records)]
    assert all(min(reached) <= value <= max(reached) for value in first)
    assert predict(known(records)[::-1], rest, 0) == first
    assert predict(known(records), rest[::-1], 0) == first[::-1]
    assert predict(known(records), rest, 1) != first
    assert predict(known(records), [], 0) == []


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_missing_scores_of_known_ones_and_of_the_rest_are_no_hindrance(records, value):
    scored = [replace(r, extra={"nwot": 1.0}) for r in records]
    some = [replace(r, params=value) if i % 3 else r for i, r in enumerate(scored)]
    pairs = [(r, accuracy(of)) for r, of in zip(some, records, strict=True)]
    rest = records[KNOWN:]
    assert agreement(predict(pairs[:KNOWN], some[KNOWN:], 0), rest) > 0.5
    for column in ("params", "flops"):
        lacking = [replace(r, **{column: value}) for r in rest]
        assert all(map(math.isfinite, predict(known(records), lacking, 0)))


def test_scores_beyond_single_precision_are_told_apart(records):
    huge = [replace(r, extra={"synflow": 1e300 * accuracy(r)}, params=None) for r in records]
    pairs = [(r, accuracy(of)) for r, of in zip(huge, records, strict=True)]
    assert agreement(predict(pairs[:KNOWN], huge[KNOWN:], 0), records[KNOWN:]) > 0.9


def test_choices_that_no_known_candidate_has_are_no_hindrance(records):
    shallow = [r for r in records if r.architecture.choices["depth"] < 4]
    deep = [r for r in records if r.architecture.choices["depth"] > 4]
    one_norm = [r for r in shallow if r.architecture.choices["norm"] != "group_norm"]
    pairs = [(r, accuracy(r)) for r in one_norm]
    assert agreement(predict(pairs, deep, 0), deep) > 0.2
