from dataclasses import replace

import pytest

from gtn_nas.data import load_dataset
from gtn_nas.data.base import ImageDataset, Split


def first(split: Split, count: int) -> Split:
    return Split(split.images[:count], split.labels[:count])


@pytest.fixture(scope="session")
def few_digits() -> ImageDataset:
    """320 handwritten digits to learn from, and 200 each to choose and to report by."""
    digits = load_dataset("digits")
    return replace(
        digits,
        train=first(digits.train, 320),
        validation=first(digits.validation, 200),
        test=first(digits.test, 200),
    )
