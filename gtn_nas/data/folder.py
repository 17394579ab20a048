"""``folder:DIR``: the user's own image files, in one folder per class.

``DIR`` contains either one folder per class, or the folder ``train/`` and, if there is a test split
to keep, ``test/``, each with one folder per class. The name of a class is that of its folder.
Folders inside a class are searched too. Hidden files and folders are ignored.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch

from gtn_nas.data.base import RawDataset, Split
from gtn_nas.data.images import decode
from gtn_nas.errors import DataError

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff"}
)


def load(folder: Path, image_size: int | None) -> RawDataset:
    """Read every image below ``folder``; classes are sorted by name.

    Raises:
        DataError: the folder is missing or has no images in folders of classes, ``test/`` has a
            class that ``train/`` lacks, or an image is damaged.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {str(folder)!r}; check the path after 'folder:'")
    train, test = _published_splits(folder)
    classes = [path.name for path in _subfolders(train)]
    paths, labels = _images(train, classes)
    if not paths:
        raise DataError(
            f"{str(train)!r} has no images in folders of classes; "
            f"put them in one folder per class, e.g. {str(train / 'cat' / '1.jpg')!r}"
        )
    test_paths, test_labels = _images(test, classes) if test else ([], [])
    every = paths + test_paths
    images = decode(every, image_size, lambda index: repr(str(every[index])))
    count = len(paths)
    return RawDataset(
        Split(images[:count], torch.tensor(labels)),
        Split(images[count:], torch.tensor(test_labels, dtype=torch.int64)) if test else None,
        tuple(map(_printable, classes)),
    )


def _published_splits(folder: Path) -> tuple[Path, Path | None]:
    """Return the folders of the training and the test split.

    A folder called ``train`` is a split if it contains folders or stands beside ``test``. Otherwise
    it is a class, and all of ``folder`` is the training split.
    """
    train, test = folder / "train", folder / "test"
    if test.is_dir() and train.is_dir():
        return train, test
    if train.is_dir() and _subfolders(train):
        return train, None
    return folder, None


def _images(split: Path, classes: list[str]) -> tuple[list[Path], list[int]]:
    """Return the image files of a split, and the class index of each."""
    paths: list[Path] = []
    labels: list[int] = []
    for folder in _subfolders(split):
        if folder.name not in classes:
            raise DataError(
                f"{str(folder)!r} is a class that the training images lack; "
                f"add it to them or remove it"
            )
        found = sorted(path for path in folder.rglob("*") if _is_image(path, folder))
        paths += found
        labels += [classes.index(folder.name)] * len(found)
    return paths, labels


def _is_image(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return not hidden and path.suffix.lower() in SUFFIXES and path.is_file()


def _subfolders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _printable(name: str) -> str:
    """Replace the bytes of a folder's name that are not UTF-8."""
    return os.fsencode(name).decode("utf-8", "replace")
