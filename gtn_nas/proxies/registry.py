"""Which proxies there are, and how each is made from what workers share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from gtn_nas.data.base import normalise
from gtn_nas.errors import UnknownNameError
from gtn_nas.proxies.base import Proxy
from gtn_nas.proxies.gtn import GtnProxy
from gtn_nas.proxies.real_steps import RealStepsProxy
from gtn_nas.proxies.zero_cost import PROXIES as ZERO_COST
from gtn_nas.proxies.zero_cost import ZeroCostProxies
from gtn_nas.teacher.curriculum import cosine
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


def make_proxies(names: Iterable[str], settings: ProxySettings, tensors: Tensors) -> list[Proxy]:
    """Make proxies from what workers share; those of zero cost become one.

    Raises:
        UnknownNameError: there is none of a name.
    """
    free = [n for n in names if n in ZERO_COST]
    made = [TRAINED[n](settings, tensors) for n in known(names) if n in TRAINED]
    return [*made, ZeroCostProxies(free)] if free else made


def known(names: Iterable[str]) -> list[str]:
    """Return the names, each once.

    Raises:
        UnknownNameError: there is no proxy of a name.
    """
    for name in names:
        if name not in NAMES:
            raise UnknownNameError("proxy", name, NAMES)
    return list(dict.fromkeys(names))


def columns_of(names: Iterable[str]) -> list[str]:
    """Return the columns that proxies fill with scores."""
    trained = {"gtn": tuple(GtnProxy.directions), "real_steps": tuple(RealStepsProxy.directions)}
    return [column for name in names for column in trained.get(name, (name,))]


def _gtn(settings: ProxySettings, tensors: Tensors) -> Proxy:
    names = ("images", "labels", "learning_rates", "momenta")
    return GtnProxy(Lesson(*(tensors[f"lesson_{n}"] for n in names)), settings.seeds)


def _real_steps(settings: ProxySettings, tensors: Tensors) -> Proxy:
    return RealStepsProxy(
        normalise(tensors["training_images"], settings.mean, settings.std),
        tensors["training_labels"],
        settings.real_batch_size,
        settings.real_learning_rate * cosine(settings.real_steps),
        torch.full((settings.real_steps,), settings.real_momentum),
        settings.seeds,
    )


TRAINED: Mapping[str, Callable[[ProxySettings, Tensors], Proxy]] = MappingProxyType(
    {"gtn": _gtn, "real_steps": _real_steps}
)
"""How each proxy that trains candidates is made."""
NAMES = (*TRAINED, *ZERO_COST)
"""All proxies that can be asked for."""
