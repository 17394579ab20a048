from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_digits

from gtn_nas.data import digits, load_dataset


def test_values_are_scaled_to_the_whole_range_of_bytes():
    raw = digits.load(None)
    original = load_digits()
    assert raw.train.images.dtype == torch.uint8
    assert raw.train.images.shape == (1797, 1, 8, 8)
    assert raw.train.images.max() == 255
    restored = raw.train.images[:, 0].numpy() * (16 / 255)
    np.testing.assert_allclose(restored, original.images, atol=0.5 * 16 / 255)
    np.testing.assert_array_equal(raw.train.labels, original.target)


def test_splits_are_60_20_20():
    dataset = load_dataset("digits")
    sizes = [len(part) for part in (dataset.train, dataset.validation, dataset.test)]
    assert sizes == [1079, 359, 359]
    assert dataset.classes == tuple("0123456789")
    assert dataset.image_shape == (1, 8, 8)


def test_image_size_enlarges():
    assert load_dataset("digits", image_size=12).image_shape == (1, 12, 12)
