from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from gtn_nas.data import DATASETS, load_dataset
from gtn_nas.errors import DataError, UnknownNameError

HEAVY = ("torch", "torchvision", "sklearn", "PIL", "pyarrow", "numpy")


def test_importing_the_package_loads_no_heavy_library():
    code = f"import sys, gtn_nas.data; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_default_does_not_load_torchvision():
    code = (
        "import sys; from gtn_nas.data import load_dataset; load_dataset('digits');"
        "print('torchvision' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("digit", "digits"),
        ("cifar-10", "cifar10"),
        ("folder", "folder:DIR"),
        ("folder:", "folder:DIR"),
        ("parquet:", "parquet:DIR"),
        ("digits:here", "digits"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name, suggestion):
    with pytest.raises(UnknownNameError, match=rf"unknown data set '{name}'; .*{suggestion}"):
        load_dataset(name)


@pytest.mark.parametrize("size", [7, 0, -1])
def test_an_image_size_below_8_is_refused(size):
    with pytest.raises(DataError, match=f"image_size {size} is too small; the least is 8"):
        load_dataset("digits", image_size=size)


def test_every_description_is_one_line():
    assert all(text and "\n" not in text for text in DATASETS.values())


def test_the_split_seed_changes_the_splits_and_nothing_else():
    first, again = load_dataset("digits"), load_dataset("digits", split_seed=0)
    other = load_dataset("digits", split_seed=1)
    for part in ("train", "validation", "test"):
        assert torch.equal(getattr(first, part).images, getattr(again, part).images)
        assert not torch.equal(getattr(first, part).images, getattr(other, part).images)
    assert first.fingerprint == other.fingerprint
    assert (first.split_seed, other.split_seed) == (0, 1)
