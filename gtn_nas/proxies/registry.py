"""Which proxies there are, and how each is made from what workers share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from gtn_nas.errors import UnknownNameError
from gtn_nas.proxies.base import Direction, Proxy
from gtn_nas.proxies.gtn import GtnProxy
from gtn_nas.proxies.real_steps import RealStepsProxy
from gtn_nas.teacher.inner_loop import Lesson

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class ProxySettings:
    """What proxies are told beside the shared tensors.

    Attributes:
        seeds: initialisations that scores after training are the mean of.
        real_steps: batches of the real-data control.
        real_batch_size: images in one of them.
        real_learning_rate: learning rate that it starts with; it falls by half a cosine.
        real_momentum: its momentum.
        mean: per-channel mean of the images, scaled to 0-1.
        std: per-channel standard deviation of the images, scaled to 0-1.
    """

    seeds: int = 1
    real_steps: int = 32
    real_batch_size: int = 64
    real_learning_rate: float = 0.1
    real_momentum: float = 0.9
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


def make_proxy(name: str, settings: ProxySettings, tensors: Tensors) -> Proxy:
    """Make a proxy from what workers share.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in PROXIES:
        raise UnknownNameError("proxy", name, PROXIES)
    return PROXIES[name](settings, tensors)


def _gtn(settings: ProxySettings, tensors: Tensors) -> Proxy:
    names = ("images", "labels", "learning_rates", "momenta")
    return GtnProxy(Lesson(*(tensors[f"lesson_{n}"] for n in names)), settings.seeds)


def _real_steps(settings: ProxySettings, tensors: Tensors) -> Proxy:
    images = normalise(tensors["training_images"], settings.mean, settings.std)
    rates, momenta = constant_momentum(
        settings.real_steps, settings.real_learning_rate, settings.real_momentum
    )
    labels, batch_size = tensors["training_labels"], settings.real_batch_size
    return RealStepsProxy(images, labels, batch_size, rates, momenta, settings.seeds)


PROXIES: Mapping[str, Callable[[ProxySettings, Tensors], Proxy]] = MappingProxyType(
    {"gtn": _gtn, "real_steps": _real_steps}
)
"""How each proxy is made, by its name."""
