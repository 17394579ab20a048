"""Random distortions of training images, made of torchvision's transforms.

Grey images (digits, letters, scans) are shifted, turned and scaled a little, and never mirrored: a
mirrored digit is no digit. Colour images (photographs) are shifted and mirrored, as is the custom
for CIFAR (He et al. 2016, arXiv 1512.03385, section 4.2).

A transform draws one distortion per call, and a call per image would take longer than the training
step. So images share a distortion with a few neighbours of their batch, others in every epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from gtn_nas.data.torchvision_import import import_torchvision

Augment = Callable[[Tensor], Tensor]
"""Distorts float images ``(N, C, H, W)`` on any device; the shape stays."""

GROUP = 4
"""Images that share one distortion."""
SHIFT = 8
"""The largest shift is the side divided by this: one pixel of 8, four of 32."""
ROTATION = 10.0
"""Largest rotation of grey images, in degrees."""
SCALE = 0.1
"""Largest relative change of size of grey images."""


def augmentation_for(channels: int, strength: float = 1.0) -> Augment:
    """Return the distortions that suit images of that many channels.

    They draw from torch's global CPU generator, so that a seed means the same on every device.

    Args:
        channels: 1 for grey images, else colour.
        strength: share of the full ranges of grey images' distortions.
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
    # Half a side of repeated edge on each side: what moves in from outside is then background,
    # dark or bright, and the affine map's own fill never shows.
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
