import pytest

from gtn_nas.data import load_dataset
from gtn_nas.data.base import ImageDataset


@pytest.fixture(scope="session")
def digits() -> ImageDataset:
    return load_dataset("digits")
