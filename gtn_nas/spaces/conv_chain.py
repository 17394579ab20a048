"""Chains of two to six convolutions: small, cheap and diverse candidates for any image."""

from __future__ import annotations

import math
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING

from gtn_nas.architecture import Architecture
from gtn_nas.spaces.base import Scale, SearchSpace

if TYPE_CHECKING:
    from torch import nn

MAX_DEPTH = 6


class ConvChain(SearchSpace):
    """Chains whose layers differ in number (depth), width, kernel size and kind of convolution.

    Normalisation, head, way of halving and residual connections are chosen once for all layers.

    The first layers halve the resolution until the smaller side is about four pixels, so that the
    cost hardly grows with the image size. If more halvings are needed than there are layers, the
    image itself is first averaged down: two layers on images of 28 pixels would otherwise see
    patches of only seven pixels. The networks of both scales, ``proxy`` and ``final``, are equal.
    """

    name = "conv_chain"
    choices = MappingProxyType(
        {
            "depth": tuple(range(2, MAX_DEPTH + 1)),
            "norm": ("weight_norm", "batch_norm", "group_norm"),
            "head": ("global_pool", "flatten"),
            "halve": ("pool", "stride"),
            "residual": (False, True),
            **{f"width_{i}": (16, 24, 32, 56) for i in range(1, MAX_DEPTH + 1)},
            **{f"kernel_{i}": (3, 5) for i in range(1, MAX_DEPTH + 1)},
            # The first layer is always plain: a grey image has one channel, and a depthwise
            # convolution of one channel gives only one feature map.
            **{f"conv_{i}": ("plain", "separable") for i in range(2, MAX_DEPTH + 1)},
        }
    )

    def canonical(self, architecture: Architecture) -> Architecture:
        """Drop layers beyond the depth; turn off ``residual`` if no neighbours are equally wide."""
        chosen = architecture.choices
        depth = int(chosen["depth"] or 0)
        layers = range(1, depth + 1)
        kept = {name: chosen[name] for name in ("depth", "norm", "head", "halve", "residual")}
        for part, first in (("width", 1), ("kernel", 1), ("conv", 2)):
            kept |= {f"{part}_{i}": chosen[f"{part}_{i}"] for i in layers[first - 1 :]}
        widths = [kept[f"width_{i}"] for i in layers]
        if all(a != b for a, b in pairwise(widths)):
            kept["residual"] = False
        return Architecture(self.name, kept)

    def build(
        self,
        architecture: Architecture,
        input_shape: tuple[int, int, int],
        num_classes: int,
        scale: Scale = "proxy",
    ) -> nn.Module:
        """Build the chain; see ``SearchSpace.build``."""
        from torch import nn

        from gtn_nas.spaces.conv_chain_layers import Classifier, ConvBlock
        from gtn_nas.spaces.draws import Draws

        chosen = self.canonical(architecture).choices
        depth = int(chosen["depth"] or 0)
        channels, height, width = input_shape
        halvings = halvings_of(min(height, width))
        draws = Draws()
        layers: list[nn.Module] = []
        if halvings > depth:
            factor = 2 ** (halvings - depth)
            layers.append(nn.AvgPool2d(factor, ceil_mode=True))
            height, width = math.ceil(height / factor), math.ceil(width / factor)
            halvings = depth
        for i in range(1, depth + 1):
            out_channels = int(chosen[f"width_{i}"] or 0)
            block = draws.made(
                f"layer {i}",
                ConvBlock,
                channels,
                out_channels,
                kernel=int(chosen[f"kernel_{i}"] or 0),
                separable=chosen.get(f"conv_{i}") == "separable",
                norm=str(chosen["norm"]),
                halve=str(chosen["halve"]) if i <= halvings else None,
                # The first layer's input is an image, not features to add to.
                residual=bool(chosen["residual"]) and i > 1,
            )
            layers.append(block)
            channels = out_channels
            if i <= halvings:
                height, width = math.ceil(height / 2), math.ceil(width / 2)
        if chosen["head"] == "global_pool":
            layers.append(nn.AdaptiveAvgPool2d(1))
            height, width = 1, 1
        features = channels * height * width
        layers.append(draws.made("classifier", Classifier, features, num_classes))
        return nn.Sequential(*layers)


def halvings_of(side: int) -> int:
    """Return how often a side of ``side`` pixels must be halved until about four are left."""
    return max(1, round(math.log2(side / 4)))
