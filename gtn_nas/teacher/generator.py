"""The network that draws synthetic images."""

from __future__ import annotations

import math
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

LEAK = 0.1
RANGE = 2.0
"""Synthetic pixels lie within +-2 standard deviations of the real ones."""


class Generator(nn.Module):
    """Draws a normalised image from noise and a one-hot label.

    Two linear layers are followed by two blocks that enlarge and convolve. Every layer is
    weight-normalised. Batch normalisation always uses the statistics of the current batch. Source:
    Such et al. 2019, arXiv 1912.07768, section 3 and appendix A, but for the widths.

    Args:
        noise_dim: length of a noise vector.
        num_classes: number of labels.
        image_shape: channels, height and width of the images to draw.
        hidden: units of the first linear layer.
        channels: channels of the smallest feature map; half of them reach the last convolution.
    """

    def __init__(
        self,
        noise_dim: int,
        num_classes: int,
        image_shape: tuple[int, int, int],
        hidden: int,
        channels: int,
    ) -> None:
        super().__init__()
        image_channels, height, width = image_shape
        self.num_classes = num_classes
        self.sizes = [
            (math.ceil(height / 4), math.ceil(width / 4)),
            (math.ceil(height / 2), math.ceil(width / 2)),
            (height, width),
        ]
        self.channels = channels
        pixels = self.sizes[0][0] * self.sizes[0][1]
        self.fc1 = weight_norm(nn.Linear(noise_dim + num_classes, hidden))
        self.fc2 = weight_norm(nn.Linear(hidden, channels * pixels))
        last = max(channels // 2, 1)
        self.conv1 = weight_norm(nn.Conv2d(channels, last, 3))
        self.conv2 = weight_norm(nn.Conv2d(last, image_channels, 3))
        self.norms = nn.ModuleList(
            [
                nn.BatchNorm1d(hidden, track_running_stats=False),
                nn.BatchNorm2d(channels, track_running_stats=False),
                nn.BatchNorm2d(last, track_running_stats=False),
            ]
        )

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        """Draw one image per noise vector.

        Args:
            noise: ``(N, noise_dim)``.
            labels: ``(N,)`` class indices, or ``(N, num_classes)`` class probabilities.

        Returns:
            Images ``(N, C, H, W)`` in units of the real images' standard deviation.
        """
        if labels.dim() == 1:
            labels = F.one_hot(labels, self.num_classes)
        x = torch.cat([noise, labels.to(noise.dtype)], dim=1)
        x = F.leaky_relu(self.norms[0](self.fc1(x)), LEAK)
        x = self.fc2(x).view(-1, self.channels, *self.sizes[0])
        x = F.leaky_relu(self.norms[1](_channels_last(x)), LEAK)
        x = _enlarge_and_convolve(x, self.conv1, self.sizes[1])
        x = F.leaky_relu(self.norms[2](x), LEAK)
        x = _enlarge_and_convolve(x, self.conv2, self.sizes[2]).contiguous()
        return RANGE * torch.tanh(x)


def _channels_last(x: Tensor) -> Tensor:
    """Put ``(N, C, H, W)`` in channels-last memory format: many-channel convolutions are faster."""
    return x.contiguous(memory_format=torch.channels_last)


def _enlarge_and_convolve(x: Tensor, conv: nn.Conv2d, size: tuple[int, int]) -> Tensor:
    """Repeat each pixel twice in both directions, reflect the edge, convolve 3 x 3, crop.

    The enlarged image is never computed. A window of 3 x 3 of its pixels covers only 2 x 2
    different pixels of ``x``. So ``x`` is convolved with four kernels of 2 x 2, one for each
    combination of even and odd rows and columns, in which the weights of equal pixels are summed.
    Their outputs are interleaved. This takes a third of the work.

    Args:
        x: ``(N, C, H, W)``.
        conv: a convolution of 3 x 3.
        size: height and width of the result, ``2 H`` and ``2 W`` or one less.
    """
    kernels = [q for rows in _fold(conv.weight, 2) for q in _fold(rows, 3)]
    bias = None if conv.bias is None else conv.bias.repeat(4)
    height, width = x.shape[-2:]
    # Reflecting the enlarged image at its edge equals repeating the edge pixels of ``x``.
    y = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), torch.cat(kernels), bias)
    parts = [
        part[..., row : row + height, column : column + width]
        for part, (row, column) in zip(y.chunk(4, 1), product((0, 1), (0, 1)), strict=True)
    ]
    rows = [torch.stack(pair, -1).flatten(-2) for pair in (parts[:2], parts[2:])]
    return torch.stack(rows, -2).flatten(-3, -2)[..., : size[0], : size[1]]


def _fold(weight: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Sum the three weights along a dimension to two, once for even and once for odd pixels."""
    before, here, after = weight.unbind(dim)
    even = torch.stack([before, here + after], dim)
    return even, torch.stack([before + here, after], dim)
