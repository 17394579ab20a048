"""Which proxies there are, and how each is made from what workers share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from gtn_nas.data.base import normalise
from gtn_nas.proxies.base import Proxy
from gtn_nas.proxies.gtn import GtnProxy, UntrainedProxy
from gtn_nas.proxies.names import NAMES, ZERO_COST, known
from gtn_nas.proxies.real_steps import RealStepsProxy
from gtn_nas.proxies.zero_cost import ZeroCostProxies
from gtn_nas.spaces.base import Scale
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
        real_learning_rate: learning rate that it starts with and that falls by half a cosine, or
            one for each step.
        real_momentum: its momentum, or one for each step.
        zero_cost_scale: of the networks that proxies without training look at.
        mean: per-channel mean of the images, scaled to 0-1.
        std: per-channel standard deviation of the images, scaled to 0-1.
    """

    seeds: int = 1
    real_steps: int = 32
    real_batch_size: int = 64
    real_learning_rate: float | tuple[float, ...] = 0.1
    real_momentum: float | tuple[float, ...] = 0.9
    zero_cost_scale: Scale = "final"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


def make_proxies(names: Iterable[str], settings: ProxySettings, tensors: Tensors) -> list[Proxy]:
    """Make proxies from what workers share; those of zero cost become one, those of gtn too.

    Raises:
        UnknownNameError: there is none of a name.
    """
    wanted, made = known(names, NAMES), list[Proxy]()
    if "gtn" in wanted or "gtn_improvement" in wanted:
        lesson = _lesson("lesson", tensors)
        made.append(GtnProxy(lesson, settings.seeds, improvement="gtn_improvement" in wanted))
    if "gtn_untrained" in wanted:
        made.append(UntrainedProxy(_lesson("untrained", tensors), settings.seeds))
    if "real_steps" in wanted:
        made.append(_real_steps(settings, tensors))
    free = [name for name in wanted if name in ZERO_COST]
    return [*made, ZeroCostProxies(free, settings.zero_cost_scale)] if free else made


def _lesson(prefix: str, tensors: Tensors) -> Lesson:
    return Lesson(*(tensors[f"{prefix}_{f.name}"] for f in fields(Lesson)))


def _real_steps(settings: ProxySettings, tensors: Tensors) -> Proxy:
    rates, momenta, steps = settings.real_learning_rate, settings.real_momentum, settings.real_steps
    return RealStepsProxy(
        normalise(tensors["training_images"], settings.mean, settings.std),
        tensors["training_labels"],
        settings.real_batch_size,
        torch.tensor(rates) if isinstance(rates, tuple) else rates * cosine(steps),
        torch.tensor(momenta) if isinstance(momenta, tuple) else torch.full((steps,), momenta),
        settings.seeds,
    )
