from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr
from sklearn.metrics import ndcg_score

from gtn_nas.ranking.statistics import (
    MEASURES,
    agreement_with_predictions,
    agreement_with_size,
    difference,
    kendall,
    ndcg,
    precision,
    regret,
    spearman,
    with_interval,
)
from gtn_nas.trial import Status

from ..results.samples import final, record

TRUTH = np.linspace(0.5, 0.9, 40)
NOISY = TRUTH + np.random.default_rng(0).normal(0, 0.1, 40)


@pytest.mark.parametrize("name", MEASURES)
def test_nothing_ranks_better_than_the_truth(name):
    measure = MEASURES[name]
    best = 0.0 if name == "regret_10" else 1.0
    assert measure(TRUTH, TRUTH) == pytest.approx(best)
    assert abs(measure(NOISY, TRUTH) - best) >= abs(measure(TRUTH, TRUTH) - best)


@given(st.lists(st.integers(0, 9), min_size=3, max_size=30), st.randoms(use_true_random=False))
def test_spearman_agrees_with_scipy_where_that_is_defined(values, rng):
    score, truth = np.array(values, float), np.array(rng.sample(range(99), len(values)), float)
    expected = spearmanr(score, truth).statistic if len(set(values)) > 1 else 0.0
    assert spearman(score, truth) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.integers(0, 5), min_size=3, max_size=30), st.randoms(use_true_random=False))
def test_kendall_agrees_with_scipy_ties_included(values, rng):
    score, truth = np.array(values, float), np.array([rng.randrange(5) for _ in values], float)
    constant = len(set(values)) == 1 or len(set(truth)) == 1
    expected = 0.0 if constant else kendalltau(score, truth).statistic
    assert kendall(score, truth) == pytest.approx(expected, abs=1e-12)


@given(st.permutations(range(20)), st.integers(1, 20))
def test_ndcg_agrees_with_scikit_learn_where_no_scores_are_equal(places, count):
    score, truth = np.array(places[:count], float), np.linspace(0, 1, count)
    expected = ndcg_score([truth], [score], k=10) if count > 1 else 1.0
    assert ndcg(score, truth) == pytest.approx(expected)


def test_a_constant_score_says_nothing():
    assert spearman(np.zeros(40), TRUTH) == kendall(np.zeros(40), TRUTH) == 0


def test_the_better_half_sees_what_the_whole_hides():
    # Bad ones are told from good ones, but among the good ones the order is the wrong way round.
    score = np.where(np.median(TRUTH) <= TRUTH, 2 - TRUTH, TRUTH)
    assert spearman(score, TRUTH) > 0
    assert MEASURES["spearman_better_half"](score, TRUTH) == pytest.approx(-1)
    assert MEASURES["kendall_better_half"](score, TRUTH) == pytest.approx(-1)


def test_measures_of_the_top_by_hand():
    truth = np.array([float(i) for i in range(20)])
    found = truth.copy()
    found[19] = -1  # the best is taken for the worst
    assert regret(found, truth) == 1
    assert precision(found, truth) == 0.5  # of 18 and 17, only 18 is among the two best
    gains = (truth[::-1] / 19)[:11]
    discounts = 1 / np.log2(np.arange(2, 12))
    assert ndcg(found, truth) == pytest.approx(gains[1:] @ discounts / (gains[:10] @ discounts))


def test_an_interval_holds_its_value_and_more_architectures_narrow_it():
    few = with_interval(spearman, NOISY[::4], TRUTH[::4])
    many = with_interval(spearman, NOISY, TRUTH)
    assert few.low <= few.value <= few.high
    assert many.high - many.low < few.high - few.low
    assert with_interval(spearman, NOISY, TRUTH) == many


def test_an_interval_is_that_of_resampled_architectures():
    rng = np.random.default_rng(7)
    places = [rng.integers(40, size=40) for _ in range(300)]
    found = np.quantile([spearman(NOISY[i], TRUTH[i]) for i in places], [0.025, 0.975])
    interval = with_interval(spearman, NOISY, TRUTH, 300, 7)
    assert (interval.low, interval.high) == pytest.approx(tuple(found), abs=1e-12)
    assert interval.value == spearman(NOISY, TRUTH)


def test_a_paired_difference_is_narrower_than_its_parts():
    other = NOISY + np.random.default_rng(1).normal(0, 0.01, 40)
    apart = difference(spearman, NOISY, other, TRUTH)
    alone = with_interval(spearman, NOISY, TRUTH)
    assert apart.value == pytest.approx(spearman(NOISY, TRUTH) - spearman(other, TRUTH))
    assert apart.low <= 0 <= apart.high
    assert apart.high - apart.low < alone.high - alone.low
    assert difference(spearman, NOISY, NOISY, TRUTH).high == 0


def sized(*sizes):
    return [replace(record(i), status=Status.OK, params=s) for i, s in enumerate(sizes)]


def test_a_ranking_by_size_agrees_in_full_and_its_reverse_not_at_all():
    same, reverse = agreement_with_size(sized(9, 7, 5, 3)), agreement_with_size(sized(3, 5, 7, 9))
    assert (same.shared, same.top, same.count) == (2, 2, 4)
    assert (same.spearman, reverse.spearman) == pytest.approx((1, -1))
    assert reverse.shared == 0


def test_only_candidates_that_ended_well_are_compared():
    failed = replace(record(9), status=Status.FAILED, params=100)
    unsized = replace(record(8), status=Status.OK, params=None)
    assert agreement_with_size([*sized(9, 7, 5), failed, unsized]).count == 3


def test_too_few_candidates_or_equal_ones_cannot_be_compared():
    assert agreement_with_size(sized(9, 7)) is None
    assert agreement_with_size(sized(5, 5, 5, 5)) is None


def test_predictions_are_compared_with_the_validation_accuracies_of_what_they_chose():
    pairs = [(0.7, 0.8), (0.8, 0.9), (0.9, 0.95)]
    chosen = [
        final(i, predicted_accuracy=p, validation_accuracy=a) for i, (p, a) in enumerate(pairs)
    ]
    ranked = final(3, validation_accuracy=0.1)
    failed = final(4, status=Status.FAILED, predicted_accuracy=1.0)
    assert agreement_with_predictions([*chosen, ranked, failed]) == pytest.approx(1)
    reverse = [replace(f, predicted_accuracy=1 - (f.predicted_accuracy or 0)) for f in chosen]
    assert agreement_with_predictions(reverse) == pytest.approx(-1)
    assert agreement_with_predictions([*chosen[:2], ranked, failed]) is None
