"""Data sets of labelled images: every source is read into one form and split by one rule.

Importing this package is fast: torch and the libraries that a source needs are imported when a data
set is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from gtn_nas.errors import DataError, UnknownNameError
from gtn_nas.storage.local_copy import local_copy

if TYPE_CHECKING:
    from gtn_nas.data.base import ImageDataset, RawDataset

MIN_SIDE = 8
"""Smallest height and width of images that a search accepts, in pixels."""

DATASETS: Mapping[str, str] = MappingProxyType(
    {
        "digits": "handwritten digits, grey 8x8, 1,797 images in 10 classes; needs no download",
        "mnist": "handwritten digits, grey 28x28, 70,000 images in 10 classes; downloaded once",
        "fashion_mnist": "clothes, grey 28x28, 70,000 images in 10 classes; downloaded once",
        "cifar10": "animals and vehicles, RGB 32x32, 60,000 images in 10 classes; downloaded once",
        "folder:DIR": "your image files, one folder per class, or train/ and test/ above them",
        "parquet:DIR": "train*.parquet and test*.parquet with the columns image and label",
    }
)
"""Names that ``load_dataset`` accepts, each with a description of one line."""


def load_dataset(
    name: str,
    *,
    data_dir: Path | None = None,
    split_seed: int = 0,
    image_size: int | None = None,
) -> ImageDataset:
    """Load a data set and split it into train, validation and test.

    The splits depend on the data and ``split_seed`` only (see ``gtn_nas.data.splits``).

    Args:
        name: one of ``DATASETS``. ``DIR`` stands for the path of a folder, or for the URI of a
            folder in a bucket, as in ``folder:s3://bucket/photos``.
        data_dir: folder in which downloads are stored and found again; ``data`` by default.
        split_seed: seed of the splits.
        image_size: side in pixels of the square that every image is resized to. By default the
            images of built-in data sets keep their size, and images of a folder or of Parquet
            files become squares whose side is the median of their shorter sides, at most 256.

    Raises:
        UnknownNameError: there is no data set of that name.
        DataError: the source is missing, empty, damaged or too small, or ``image_size`` is too
            small.
        ConfigError: the URI is wrong, or there is nothing at it.
        StoreError: the bucket does not answer.
        DownloadError: the data set is not in ``data_dir`` and cannot be downloaded.
    """
    if image_size is not None and image_size < MIN_SIDE:
        raise DataError(f"image_size {image_size} is too small; the least is {MIN_SIDE} pixels")
    raw = _read(name, data_dir or Path("data"), image_size)

    from gtn_nas.data.splits import split

    return split(name, raw, split_seed)


def _read(name: str, data_dir: Path, image_size: int | None) -> RawDataset:
    """Import the module of the source that ``name`` asks for, and read the images with it."""
    match name.partition(":"):
        case "digits", "", "":
            from gtn_nas.data import digits

            return digits.load(image_size)
        case "mnist" | "fashion_mnist" | "cifar10", "", "":
            from gtn_nas.data import torchvision_sources

            return torchvision_sources.load(name, data_dir, image_size)
        case "folder", _, directory if directory:
            from gtn_nas.data import folder

            with local_copy(directory) as place:
                return folder.load(place, image_size)
        case "parquet", _, directory if directory:
            from gtn_nas.data import parquet

            with local_copy(directory) as place:
                return parquet.load(place, image_size)
    raise UnknownNameError("data set", name, DATASETS)
