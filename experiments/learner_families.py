"""Families of learners beside the product's search spaces, for what the experiments compare."""

from __future__ import annotations

from types import MappingProxyType

from torch import nn

from gtn_nas.architecture import Architecture
from gtn_nas.spaces.base import Scale, SearchSpace
from gtn_nas.spaces.conv_chain_layers import ConvBlock


class TwoConvs(SearchSpace):
    """The paper's MNIST learners: two convolutions of drawn widths and a fully connected layer.

    Both convolutions are weight-normalised and followed by mean-only batch normalisation (Such et
    al. 2019, arXiv 1912.07768, section 3.4); they halve the resolution by their stride.
    """

    name = "two_convs"
    norm = "weight_norm"
    choices = MappingProxyType({"width_1": (24, 32, 40, 48), "width_2": (48, 64, 80, 96)})

    def build(
        self,
        architecture: Architecture,
        input_shape: tuple[int, int, int],
        num_classes: int,
        scale: Scale = "proxy",
    ) -> nn.Module:
        """Build the network; see ``SearchSpace.build``."""
        channels, height, width = input_shape
        layers: list[nn.Module] = []
        for out_channels in (architecture.choices[f"width_{i}"] for i in (1, 2)):
            layers.append(
                ConvBlock(
                    channels,
                    int(out_channels or 0),
                    kernel=5,
                    separable=False,
                    norm=self.norm,
                    halve="stride",
                    residual=False,
                )
            )
            channels, height, width = int(out_channels or 0), -(-height // 2), -(-width // 2)
        return nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(channels * height * width, num_classes)
        )


class TwoConvsBatchNorm(TwoConvs):
    """The same with batch normalisation alone: the ablation of weight normalisation."""

    name = "two_convs_batch_norm"
    norm = "batch_norm"
