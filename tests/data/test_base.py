from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gtn_nas.data import base
from gtn_nas.data.base import Split

from ..photos import make_dataset

SPLITS = ("train", "validation", "test")

sides = st.integers(8, 200)


@settings(max_examples=25, deadline=None)
@given(height=sides, width=sides, side=st.integers(8, 100))
def test_no_side_is_longer_than_wanted_and_the_aspect_ratio_is_kept(height, width, side):
    dataset = make_dataset((1, height, width))
    smaller = dataset.at_most(side)
    if max(height, width) <= side:
        assert smaller is dataset
        return
    _, new_height, new_width = smaller.image_shape
    assert max(new_height, new_width) == side
    scale = side / max(height, width)
    # Nothing is thinner than a pixel.
    expected = max(height * scale, 1), max(width * scale, 1)
    assert (new_height, new_width) == pytest.approx(expected, abs=0.5001)


def test_only_the_images_become_smaller():
    dataset = make_dataset((3, 20, 40))
    smaller = dataset.at_most(16)
    assert smaller.image_shape == (3, 8, 16)
    for name in SPLITS:
        before, after = getattr(dataset, name), getattr(smaller, name)
        assert torch.equal(after.labels, before.labels)
        assert after.images.dtype == torch.uint8
        assert after.images.shape == (len(before), 3, 8, 16)
        assert before.images.shape == (len(before), 3, 20, 40)
    kept = {name: getattr(dataset, name) for name in SPLITS}
    assert replace(smaller, **kept) == dataset


def greys(values):
    levels = torch.tensor(values, dtype=torch.uint8).view(-1, 1, 1, 1)
    return Split(levels.expand(-1, 1, 16, 16), torch.zeros(len(values), dtype=torch.int64))


def test_images_keep_their_order_however_many_are_resized_at_once(monkeypatch):
    dataset = make_dataset((1, 16, 16))
    parts = {"train": [1, 2, 3, 4, 5], "validation": [6, 7], "test": [8]}
    dataset = replace(dataset, **{name: greys(values) for name, values in parts.items()})
    monkeypatch.setattr(base, "RESIZED_AT_ONCE", 2)
    smaller = dataset.at_most(8)
    for name, values in parts.items():
        images = getattr(smaller, name).images
        assert images[:, 0, 0, 0].tolist() == values
        assert (images == images[:, :, :1, :1]).all()


def test_shrinking_averages_instead_of_skipping_pixels():
    dataset = make_dataset((1, 64, 64))
    stripes = torch.tensor([0, 255], dtype=torch.uint8).repeat(32).expand(4, 1, 64, 64)
    dataset = replace(dataset, train=Split(stripes, torch.zeros(4, dtype=torch.int64)))
    images = dataset.at_most(8).train.images.float()
    assert images.mean() == pytest.approx(127.5, abs=1)
    assert images.std() < 3
