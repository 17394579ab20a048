"""The rule by which every data set is split, and the statistics of a split's training images.

A published test split is kept. The validation split is taken out of the other images, and so is a
test split if none is published. Each of them has a fifth of the images but at most 5,000,
stratified by class. So MNIST becomes 55,000 / 5,000 / 10,000 images, and CIFAR-10 becomes
45,000 / 5,000 / 10,000.

The splits depend on the data's fingerprint and the split seed only, never on a run's seed. So the
same test images stay unseen in all runs, teachers and full trainings.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gtn_nas.data import MIN_SIDE
from gtn_nas.data.base import ImageDataset, RawDataset, Split
from gtn_nas.errors import DataError
from gtn_nas.trial import derived_seed

Indices = NDArray[np.int64]

MAX_CARVED = 5_000
GREY_LEVEL = 1 / 255
STATISTICS_CHUNK = 4_096


def split(name: str, raw: RawDataset, split_seed: int) -> ImageDataset:
    """Split the images of a source, and compute the statistics of the training images.

    Args:
        name: name of the data set.
        raw: the images of the source.
        split_seed: seed of the split.

    Raises:
        DataError: there are fewer than two classes, the images are smaller than 8x8 pixels, or a
            class has too few images to appear in every split.
    """
    _check(name, raw)
    digest = fingerprint(raw)
    train, test = raw.train, raw.test
    size = min(len(train) // 5, MAX_CARVED)
    if test is None:
        train, test = _carve(train, size, derived_seed(digest, split_seed, "test"))
    train, validation = _carve(train, size, derived_seed(digest, split_seed, "validation"))
    mean, std = channel_statistics(train.images)
    return ImageDataset(
        name=name,
        train=train,
        validation=validation,
        test=test,
        mean=mean,
        std=std,
        classes=raw.classes,
        fingerprint=digest,
        split_seed=split_seed,
    )


def fingerprint(raw: RawDataset) -> str:
    """Return 16 hex digits of a SHA-256 over all images, labels and class names."""
    digest = hashlib.sha256(json.dumps(raw.classes).encode())
    for part in (raw.train, raw.test):
        if part is None:
            continue
        digest.update(json.dumps(part.images.shape).encode())
        digest.update(part.images.contiguous().numpy().data)
        digest.update(part.labels.numpy().astype("<i8").data)
    return digest.hexdigest()[:16]


def stratified_holdout(labels: Indices, size: int, seed: int) -> tuple[Indices, Indices]:
    """Choose images to hold out: from every class in proportion, but at least one.

    Args:
        labels: ``(N,)``, class indices.
        size: number of images to hold out; they may be more, since every class gives at least one.
        seed: seed of the choice, below 2**32.

    Returns:
        Indices to keep and indices to hold out. Both are in random order, so that the first
        indices of either are a random sample too.
    """
    # NumPy guarantees that RandomState draws the same numbers in every version; Generator may not.
    order = np.random.RandomState(seed).permutation(len(labels))
    shuffled = labels[order]
    held = np.zeros(len(labels), dtype=bool)
    for label, count in enumerate(_counts_to_hold_out(np.bincount(labels), size)):
        held[np.flatnonzero(shuffled == label)[:count]] = True
    return order[~held], order[held]


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and the standard deviation of each channel, scaled to 0-1.

    The sums are exact, so the result does not depend on the number of threads. A standard deviation
    is at least one grey level, so that images with a constant channel can be divided by it.

    Args:
        images: ``(N, C, H, W)``, uint8.
    """
    total = torch.zeros(images.shape[1], dtype=torch.float64)
    squares = torch.zeros_like(total)
    for chunk in torch.split(images, STATISTICS_CHUNK):
        pixels = chunk.transpose(0, 1).flatten(1).double()
        total += pixels.sum(1)
        squares += pixels.square_().sum(1)
    count = images.numel() / images.shape[1]
    mean = total / count
    std = (squares / count - mean.square()).clamp(min=0).sqrt()
    floored = [max(value / 255, GREY_LEVEL) for value in std.tolist()]
    return tuple((mean / 255).tolist()), tuple(floored)


def _counts_to_hold_out(counts: Indices, size: int) -> Indices:
    """Return how many of ``size`` images to hold out of each class, at least one.

    Shares are proportional, rounded by the method of largest remainders.
    """
    quota = counts * (size / counts.sum())
    share: Indices = np.maximum(np.floor(quota), counts > 0).astype(np.int64)
    missing = max(size - int(share.sum()), 0)
    share[np.argsort(share - quota, kind="stable")[:missing]] += 1
    return share


def _carve(pool: Split, size: int, seed: int) -> tuple[Split, Split]:
    """Split ``pool`` into images to keep and ``size`` images to hold out, stratified by class."""
    kept, held = stratified_holdout(pool.labels.numpy(), size, seed)
    return _take(pool, kept), _take(pool, held)


def _take(pool: Split, indices: Indices) -> Split:
    chosen = torch.from_numpy(indices)
    return Split(pool.images[chosen], pool.labels[chosen])


def _check(name: str, raw: RawDataset) -> None:
    """Refuse images that cannot be split or are too small for a search."""
    if len(raw.classes) < 2:
        found = f"one class, {raw.classes[0]!r}" if raw.classes else "no images"
        raise DataError(f"{name} has only {found}; a classifier needs two classes or more")
    height, width = raw.train.images.shape[2:]
    if min(height, width) < MIN_SIDE:
        raise DataError(
            f"{name}: images of {width}x{height} pixels are too small; "
            f"set image_size to {MIN_SIDE} or more to enlarge them"
        )
    if raw.test is None:
        _check_classes(name, raw.train, raw.classes, 3, "train, validation and test")
    else:
        _check_classes(name, raw.train, raw.classes, 2, "train and validation")
        _check_classes(name, raw.test, raw.classes, 1, "the test split")


def _check_classes(
    name: str, part: Split, classes: tuple[str, ...], least: int, where: str
) -> None:
    counts = torch.bincount(part.labels, minlength=len(classes)).tolist()
    few = [f"{label!r} has {n}" for label, n in zip(classes, counts, strict=True) if n < least]
    if few:
        more = f" and {len(few) - 3} classes more" if len(few) > 3 else ""
        raise DataError(
            f"{name}: too few images for {where}: class {', '.join(few[:3])}{more}; "
            f"every class needs {least}, so add images or remove the class"
        )
