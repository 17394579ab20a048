"""Search spaces of learners that only the experiments use."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from torch import nn

from gtn_nas.architecture import Architecture
from gtn_nas.spaces.base import Scale, SearchSpace
from gtn_nas.spaces.conv_chain import ConvChain
from gtn_nas.spaces.conv_chain_layers import Classifier, ConvBlock


class TwoConvs(SearchSpace):
    """The paper's MNIST learners: two convolutions of random widths and a fully connected layer.

    Both convolutions are weight-normalised and followed by mean-only batch normalisation (Such et
    al. 2019, arXiv 1912.07768, section 3.4). Each halves the resolution by its stride.
    """

    name = "two_convs"
    norm = "weight_norm"
    # Multiples of 16, since torch's convolutions are half as fast for other widths.
    choices = MappingProxyType({"width_1": (16, 32), "width_2": (32, 48, 64, 80)})

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
    """``TwoConvs`` with batch normalisation only: the ablation of weight normalisation."""

    name = "two_convs_batch_norm"
    norm = "batch_norm"


class Perceptron(SearchSpace):
    """Multilayer perceptrons with one to three hidden layers."""

    name = "perceptron"
    choices = MappingProxyType(
        {
            "depth": (1, 2, 3),
            "width": (64, 128, 256),
            "norm": ("batch_norm", "none"),
            "activation": ("relu", "leaky_relu", "tanh"),
        }
    )

    def build(
        self,
        architecture: Architecture,
        input_shape: tuple[int, int, int],
        num_classes: int,
        scale: Scale = "proxy",
    ) -> nn.Module:
        """Build the network; see ``SearchSpace.build``."""
        chosen = architecture.choices
        activations = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "tanh": nn.Tanh}
        features, width = math.prod(input_shape), int(chosen["width"] or 0)
        layers: list[nn.Module] = [nn.Flatten()]
        for _ in range(int(chosen["depth"] or 0)):
            layers.append(nn.Linear(features, width))
            if chosen["norm"] == "batch_norm":
                layers.append(nn.BatchNorm1d(width))
            layers.append(activations[str(chosen["activation"])]())
            features = width
        return nn.Sequential(*layers, Classifier(features, num_classes))


class FlattenChains(ConvChain):
    """The ``conv_chain`` networks that end in a fully connected layer over the flattened map."""

    name = "flatten_chains"
    choices = MappingProxyType({**ConvChain.choices, "head": ("flatten",)})


class PooledChains(ConvChain):
    """The ``conv_chain`` networks that end in global pooling."""

    name = "pooled_chains"
    choices = MappingProxyType({**ConvChain.choices, "head": ("global_pool",)})


class CheapChains(ConvChain):
    """``conv_chain`` networks with strides, two to five layers, and 16 or 32 channels.

    A meta-gradient of such a network costs a third of the average in the whole space. ``name`` is
    that of the whole space, so that keys are equal and the same architectures are held out.
    """

    choices = MappingProxyType(
        {
            **ConvChain.choices,
            **{n: (16, 32) for n in ConvChain.choices if n.startswith("width_")},
            "depth": (2, 3, 4, 5),
            "halve": ("stride",),
        }
    )


FAMILIES: Mapping[str, SearchSpace] = {
    "two convolutions": TwoConvs(),
    "chains, flattened": FlattenChains(),
    "chains, globally pooled": PooledChains(),
    "perceptrons": Perceptron(),
}


class Mixture(SearchSpace):
    """All families except ``without``; each is sampled equally often.

    The names of choices begin with their family. The choices of the families that were not sampled
    are inactive.
    """

    name = "mixture"
    without: str | None = None

    def __init__(self) -> None:
        self.families = {n: f for n, f in FAMILIES.items() if n != self.without}
        inner = {
            f"{name}.{choice}": options
            for name, family in self.families.items()
            for choice, options in family.choices.items()
        }
        self.choices = {"family": tuple(self.families), **inner}

    def canonical(self, architecture: Architecture) -> Architecture:
        """Keep only the active choices of the sampled family."""
        name = str(architecture.choices["family"])
        inner = self._inner(name, architecture)
        kept = {f"{name}.{choice}": value for choice, value in inner.choices.items()}
        return Architecture(self.name, {"family": name, **kept})

    def build(
        self,
        architecture: Architecture,
        input_shape: tuple[int, int, int],
        num_classes: int,
        scale: Scale = "proxy",
    ) -> nn.Module:
        """Build the network of the sampled family; see ``SearchSpace.build``."""
        name = str(architecture.choices["family"])
        inner = self._inner(name, architecture)
        return self.families[name].build(inner, input_shape, num_classes, scale)

    def _inner(self, name: str, architecture: Architecture) -> Architecture:
        start = f"{name}."
        chosen = {n: v for n, v in architecture.choices.items() if n.startswith(start)}
        return self.families[name].architecture({n[len(start) :]: v for n, v in chosen.items()})


class WithoutTwoConvs(Mixture):
    """All families except the paper's two convolutions."""

    name = "without_two_convs"
    without = "two convolutions"


class WithoutFlattenChains(Mixture):
    """All families except the chains with a flattened head."""

    name = "without_flatten_chains"
    without = "chains, flattened"


class WithoutPooledChains(Mixture):
    """All families except the chains with a globally pooled head."""

    name = "without_pooled_chains"
    without = "chains, globally pooled"


class WithoutPerceptrons(Mixture):
    """All families except the perceptrons."""

    name = "without_perceptrons"
    without = "perceptrons"
