from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gtn_nas.data.base import RawDataset, Split
from gtn_nas.data.splits import channel_statistics, fingerprint, split, stratified_holdout
from gtn_nas.errors import DataError

CLASSES = ("cat", "dog", "owl")


def numbered(counts: list[int], start: int = 0, side: int = 8) -> Split:
    """Grey images that carry their own number in their first two pixels, class after class."""
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    images = torch.zeros(len(labels), 1, side, side, dtype=torch.uint8)
    numbers = torch.arange(start, start + len(labels))
    images[:, 0, 0, 0] = (numbers // 256).to(torch.uint8)
    images[:, 0, 0, 1] = (numbers % 256).to(torch.uint8)
    return Split(images, labels)


def numbers(part: Split) -> list[int]:
    first = part.images[:, 0, 0, :2].long()
    return (first[:, 0] * 256 + first[:, 1]).tolist()


def raw(counts: list[int], test_counts: list[int] | None = None) -> RawDataset:
    test = numbered(test_counts, start=sum(counts)) if test_counts else None
    return RawDataset(numbered(counts), test, CLASSES[: len(counts)])


@given(
    counts=st.lists(st.integers(3, 60), min_size=2, max_size=12),
    order=st.randoms(use_true_random=False),
    seed=st.integers(0, 2**31 - 1),
)
def test_holdout_is_disjoint_complete_and_stratified(counts, order, seed):
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    order.shuffle(labels)
    labels = np.array(labels)
    size = len(labels) // 5
    kept, held = stratified_holdout(labels, size, seed)
    assert sorted([*kept, *held]) == list(range(len(labels)))
    if min(counts) * size >= len(labels):  # no class has to be helped to its one image
        assert len(held) == size
    for label, count in enumerate(counts):
        share = int((labels[held] == label).sum())
        assert 1 <= share < count
        assert share == 1 or abs(share - count * size / len(labels)) < 1


@settings(max_examples=30)
@given(counts=st.lists(st.integers(3, 40), min_size=2, max_size=3), seed=st.integers())
def test_splits_without_a_published_test_partition_the_images(counts, seed):
    source = raw(counts)
    dataset = split("pets", source, seed)
    parts = (dataset.train, dataset.validation, dataset.test)
    assert sorted(n for part in parts for n in numbers(part)) == list(range(sum(counts)))
    for part in parts:
        assert set(part.labels.tolist()) == set(range(len(counts)))
        assert torch.equal(part.labels, source.train.labels[numbers(part)])


def test_a_published_test_split_is_kept_as_it_is():
    source = raw([50, 50], [5, 7])
    for seed in (0, 1):
        dataset = split("pets", source, seed)
        assert dataset.test is source.test
        assert sorted(numbers(dataset.train) + numbers(dataset.validation)) == list(range(100))
        assert torch.bincount(dataset.validation.labels).tolist() == [10, 10]


def test_the_carved_splits_stop_growing_at_5000_images():
    dataset = split("many", raw([21_000, 9_000], [1, 1]), 0)
    assert torch.bincount(dataset.validation.labels).tolist() == [3_500, 1_500]


def test_splits_follow_from_the_data_and_the_seed_alone():
    first, again = (split("pets", raw([40, 40]), 0) for _ in range(2))
    assert torch.equal(first.train.images, again.train.images)
    renamed = split("folder:pets", raw([40, 40]), 0)
    assert numbers(renamed.test) == numbers(first.test)
    assert numbers(split("pets", raw([40, 40]), 1).test) != numbers(first.test)
    assert numbers(split("pets", raw([40, 41]), 0).test) != numbers(first.test)


def test_the_split_of_a_known_data_set_never_changes():
    """Teachers carry fingerprint and split: a new version that splits otherwise makes them lie."""
    dataset = split("pets", raw([10, 10]), 0)
    assert dataset.fingerprint == "4fed8226e23ce963"
    assert numbers(dataset.test) == [6, 5, 11, 10]
    assert numbers(dataset.validation) == [2, 15, 4, 17]


def test_the_order_within_carved_splits_mixes_the_classes():
    labels = split("pets", raw([200, 200]), 0).validation.labels
    assert 10 <= int(labels[:40].sum()) <= 30


def test_the_fingerprint_sees_images_labels_names_and_what_is_test():
    base = raw([4, 4], [2, 2])
    other_image = raw([4, 4], [2, 2])
    other_image.train.images[3, 0, 7, 7] = 1
    other_label = raw([4, 4], [2, 2])
    other_label.test.labels[0] = 1
    other_name = RawDataset(base.train, base.test, ("cat", "cow"))
    joined = raw([4, 4])
    prints = [fingerprint(s) for s in (base, other_image, other_label, other_name, joined)]
    assert len(set(prints)) == len(prints)
    assert prints[0] == fingerprint(raw([4, 4], [2, 2]))
    assert all(len(p) == 16 and int(p, 16) >= 0 for p in prints)


@settings(max_examples=20)
@given(
    count=st.integers(1, 9_000),
    channels=st.sampled_from([1, 3]),
    low=st.integers(0, 200),
    seed=st.integers(0, 99),
)
def test_channel_statistics_agree_with_numpy(count, channels, low, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(low, 256, (count, channels, 2, 2), dtype=np.uint8)
    mean, std = channel_statistics(torch.from_numpy(images))
    np.testing.assert_allclose(mean, images.mean((0, 2, 3)) / 255, rtol=1e-9)
    expected = np.maximum(images.std((0, 2, 3)) / 255, 1 / 255)
    np.testing.assert_allclose(std, expected, rtol=1e-6)


def test_a_channel_that_never_changes_can_be_normalised():
    constant = Split(torch.full((9, 3, 8, 8), 77, dtype=torch.uint8), torch.arange(9) % 2)
    dataset = split("flat", RawDataset(constant, None, ("a", "b")), 0)
    assert min(dataset.std) > 0
    assert torch.allclose(dataset.normalise(dataset.test.images), torch.zeros(1), atol=1e-4)


def test_normalised_training_images_have_zero_mean_and_unit_variance():
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (90, 3, 8, 8), dtype=np.uint8))
    source = RawDataset(Split(images, torch.arange(90) % 2), None, ("a", "b"))
    dataset = split("noise", source, 0)
    normal = dataset.normalise(dataset.train.images)
    assert torch.allclose(normal.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(normal.std((0, 2, 3)), torch.ones(3), atol=1e-3)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (raw([10]), r"pets has only one class, 'cat'; .* two classes"),
        (raw([10, 2, 1]), r"'dog' has 2, 'owl' has 1; every class needs 3"),
        (raw([10, 1], [5, 5]), r"for train and validation: class 'dog' has 1; .* needs 2"),
        (raw([10, 9], [5, 0]), r"for the test split: class 'dog' has 0; .* needs 1"),
        (RawDataset(numbered([5, 5], side=7), None, CLASSES[:2]), r"7x7 .* set image_size to 8"),
    ],
)
def test_what_cannot_be_split_is_refused(source, complaint):
    with pytest.raises(DataError, match=complaint) as caught:
        split("pets", source, 0)
    assert "\n" not in str(caught.value)


def test_the_least_that_can_be_split():
    dataset = split("pets", raw([3, 3, 3]), 0)
    for part in (dataset.train, dataset.validation, dataset.test):
        assert sorted(part.labels.tolist()) == [0, 1, 2]


def test_a_long_list_of_small_classes_is_cut_short():
    source = RawDataset(numbered([1] * 9), None, tuple("abcdefghi"))
    with pytest.raises(DataError, match="'c' has 1 and 6 classes more; every"):
        split("letters", source, 0)
