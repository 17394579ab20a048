"""Layers that all search spaces of stacked cells use."""

from __future__ import annotations

from torch import nn


def stem(image_channels: int, channels: int) -> nn.Module:
    """Return a 3 x 3 convolution and batch norm: ``(N, C, H, W)`` to ``(N, channels, H, W)``."""
    return nn.Sequential(
        nn.Conv2d(image_channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
    )


def relu_conv_bn(channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> nn.Module:
    """Return ReLU, convolution without bias and batch norm, on ``(N, channels_in, H, W)``.

    The output is ``(N, channels_out, ceil(H / stride), ceil(W / stride))``.
    """
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels_in, channels_out, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(channels_out),
    )
