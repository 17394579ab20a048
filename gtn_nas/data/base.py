"""The form in which every data source returns its images, and the split data set."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

CALIBRATION_IMAGES = 512
PROXY_SIDE = 64
"""Longest side in pixels of images for teachers and proxies; full trainings use the full size."""
RESIZED_AT_ONCE = 1024


@dataclass(frozen=True)
class Split:
    """Labelled images.

    Attributes:
        images: ``(N, C, H, W)``, uint8.
        labels: ``(N,)``, int64, class indices.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> Split:
        """Return the first ``count`` images, or all of them if there are fewer."""
        return Split(self.images[:count], self.labels[:count])


@dataclass(frozen=True)
class RawDataset:
    """Labelled images of a source, before they are split.

    Attributes:
        train: images published for training, or all images.
        test: images published for testing, of the same shape, or ``None`` if there are none.
        classes: class names; a label is an index of them.
    """

    train: Split
    test: Split | None
    classes: tuple[str, ...]


@dataclass(frozen=True)
class ImageDataset:
    """Images of one data set in its three splits.

    Teachers and full trainings learn from ``train``. Every choice is made on ``validation``.
    ``test`` is read once per full training and once per published table.

    Attributes:
        name: the data set's name as the user gave it, e.g. ``"digits"`` or ``"folder:photos"``.
        train: images to learn from.
        validation: images to choose candidates and settings with.
        test: images to report the final accuracy on.
        mean: per-channel mean of the training images, scaled to 0-1.
        std: per-channel standard deviation of the training images, scaled to 0-1.
        classes: class names; a label is an index of them.
        fingerprint: hash of all images and labels before splitting (16 hex digits).
        split_seed: seed of the split.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...]
    fingerprint: str
    split_seed: int

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    def at_most(self, side: int) -> ImageDataset:
        """Return the data set with images scaled down so that no side exceeds ``side`` pixels."""
        channels, height, width = self.image_shape
        if max(height, width) <= side:
            return self
        scale = side / max(height, width)
        size = max(round(height * scale), 1), max(round(width * scale), 1)

        def smaller(split: Split) -> Split:
            return Split(_resize(split.images, size), split.labels)

        return replace(
            self,
            train=smaller(self.train),
            validation=smaller(self.validation),
            test=smaller(self.test),
        )

    def calibration_images(self) -> Tensor:
        """Return the normalised training images on which batch-norm statistics are estimated.

        They are always the same images.
        """
        return self.normalise(self.train.images[:CALIBRATION_IMAGES])

    def calibration_labels(self) -> Tensor:
        """Return the classes of the calibration images."""
        return self.train.labels[:CALIBRATION_IMAGES]

    def normalise(self, images: Tensor) -> Tensor:
        """Turn uint8 images ``(N, C, H, W)`` into float32 of about zero mean, unit variance."""
        return normalise(images, self.mean, self.std)


def normalise(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Scale uint8 images ``(N, C, H, W)`` to 0-1, subtract ``mean`` and divide by ``std``."""
    shape = (1, -1, 1, 1)
    offset = torch.tensor(mean, device=images.device).view(shape)
    scale = torch.tensor(std, device=images.device).view(shape)
    return (images.float().div_(255) - offset) / scale


def _resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize uint8 images ``(N, C, H, W)``, bilinear with antialiasing.

    The images are resized in chunks, to limit memory.
    """
    parts = [
        functional.interpolate(chunk, size, mode="bilinear", antialias=True)
        for chunk in torch.split(images, RESIZED_AT_ONCE)
    ]
    return torch.cat(parts)
