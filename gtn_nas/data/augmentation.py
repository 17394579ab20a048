"""Random augmentation of training images, with torchvision's transforms.

Grey images (digits, letters, scans) are shifted, rotated and scaled a little. They are never
mirrored, since a mirrored digit is not a digit. Colour images (photographs) are shifted and
mirrored, as is common for CIFAR (He et al. 2016, arXiv 1512.03385, section 4.2).

A transform draws one distortion per call, and one call per image would take longer than the
training step. So each group of ``GROUP`` neighbours in a batch shares one distortion; shuffling
makes other groups in every epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from gtn_nas.data.torchvision_import import import_torchvision

Augment = Callable[[Tensor], Tensor]
"""Distorts float images ``(N, C, H, W)`` on any device and returns images of the same shape."""

GROUP = 4
"""Number of images that share one distortion."""
SHIFT = 8
"""Largest shift, as a divisor of the image's side: 1 pixel for a side of 8, 4 for a side of 32."""
ROTATION = 10.0
"""Largest rotation of grey images in either direction, in degrees."""
SCALE = 0.1
"""Largest relative change of size of grey images."""


def augmentation_for(channels: int, strength: float = 1.0) -> Augment:
    """Return the augmentation for images with the given number of channels.

    It draws from torch's global CPU generator, so that a seed has the same effect on every device.

    Args:
        channels: 1 for grey images, any other number for colour images.
        strength: factor of the ranges of all distortions of grey images; 1 for the full ranges. It
            has no effect on colour images.
    """

    def augment(images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        if channels == 1:
            transform = _grey_transform(height, width, strength)
        else:
            transform = _colour_transform(height, width)
        return torch.cat([transform(group) for group in torch.split(images, GROUP)])

    return augment


@cache
def _grey_transform(height: int, width: int, strength: float) -> Augment:
    transforms = import_torchvision("torchvision.transforms.v2")
    # Pad by half the image's side with copies of the edge pixels, so that pixels that move into
    # the image are background, dark or bright, and never the fill value of the affine map.
    pad = transforms.Pad([width // 2, height // 2], padding_mode="edge")
    shift = strength / SHIFT / 2  # a fraction of the padded image
    move = transforms.RandomAffine(
        ROTATION * strength,
        translate=(shift, shift),
        scale=(1 - SCALE * strength, 1 + SCALE * strength),
        interpolation=transforms.InterpolationMode.BILINEAR,
    )
    crop = transforms.CenterCrop([height, width])
    composed: Augment = transforms.Compose([pad, move, crop])
    return composed


@cache
def _colour_transform(height: int, width: int) -> Augment:
    transforms = import_torchvision("torchvision.transforms.v2")
    margin = [width // SHIFT, height // SHIFT]
    move = transforms.RandomCrop([height, width], padding=margin, padding_mode="reflect")
    composed: Augment = transforms.Compose([move, transforms.RandomHorizontalFlip()])
    return composed
