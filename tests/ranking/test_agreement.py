from dataclasses import replace

from gtn_nas.ranking.agreement import agreement_with_predictions, agreement_with_size
from gtn_nas.trial import Status

from ..results.samples import final, record


def sized(*sizes):
    return [replace(record(i), status=Status.OK, params=s) for i, s in enumerate(sizes)]


def test_a_ranking_by_size_agrees_in_full_and_its_reverse_not_at_all():
    same, reverse = agreement_with_size(sized(9, 7, 5, 3)), agreement_with_size(sized(3, 5, 7, 9))
    assert (same.spearman, same.shared, same.top, same.count) == (1.0, 2, 2, 4)
    assert (reverse.spearman, reverse.shared) == (-1.0, 0)


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
    assert agreement_with_predictions([*chosen, ranked, failed]) == 1.0
    reverse = [replace(f, predicted_accuracy=1 - (f.predicted_accuracy or 0)) for f in chosen]
    assert agreement_with_predictions(reverse) == -1.0
    assert agreement_with_predictions([*chosen[:2], ranked, failed]) is None
