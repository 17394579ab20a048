"""The network that draws synthetic images."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

LEAK = 0.1
RANGE = 2.0
"""Synthetic pixels lie within +-2 standard deviations of the real ones."""


class Generator(nn.Module):
    """Noise and a one-hot label in, a normalised image out.

    Two linear layers, then two times: enlarge, convolve. Every layer is weight-normalised; batch
    normalisation always uses the statistics of the batch at hand. Source: Such et al. 2019, arXiv
    1912.07768, section 3 and appendix A; widths are ours to choose.

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
        """Draw one image per row.

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
        x = F.leaky_relu(self.norms[1](x), LEAK)
        x = F.interpolate(x, self.sizes[1], mode="nearest")
        x = F.leaky_relu(self.norms[2](self.conv1(F.pad(x, (1, 1, 1, 1), mode="reflect"))), LEAK)
        x = F.interpolate(x, self.sizes[2], mode="nearest")
        x = self.conv2(F.pad(x, (1, 1, 1, 1), mode="reflect"))
        return RANGE * torch.tanh(x)
