from collections.abc import Callable

import pytest
import torch

from gtn_nas.data import load_dataset
from gtn_nas.data.base import ImageDataset
from gtn_nas.proxies.base import ProxyData
from gtn_nas.teacher.curriculum import real_lesson
from gtn_nas.teacher.inner_loop import Lesson

from .candidates import STEPS


@pytest.fixture(scope="session")
def digits() -> ImageDataset:
    return load_dataset("digits")


@pytest.fixture(scope="session")
def data(digits: ImageDataset) -> ProxyData:
    """Handwritten digits to score on."""
    return ProxyData(
        digits.normalise(digits.train.images[:128]),
        digits.train.labels[:128],
        digits.normalise(digits.validation.images),
        digits.validation.labels,
    )


@pytest.fixture(scope="session")
def make_lesson(digits: ImageDataset) -> Callable[[float], Lesson]:
    """Make a short lesson of real digits; in place of synthetic ones, which take hours to learn."""

    def make(learning_rate: float) -> Lesson:
        return real_lesson(
            digits.normalise(digits.train.images),
            digits.train.labels,
            32,
            torch.full((STEPS,), learning_rate),
            torch.full((STEPS,), 0.5),
            torch.Generator().manual_seed(0),
        )

    return make


@pytest.fixture(scope="session")
def lesson(make_lesson: Callable[[float], Lesson]) -> Lesson:
    return make_lesson(0.2)
