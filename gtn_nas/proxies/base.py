"""What every proxy offers, and what it is given."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor, nn

from gtn_nas.spaces.base import Scale
from gtn_nas.trial import Trial, derived_seed

Tensors = Mapping[str, Tensor]
"""What all workers share, on the worker's device, by the names of ``evaluator.shared_arrays``."""


@dataclass(frozen=True)
class ProxyData:
    """Real images on the worker's device, normalised.

    Attributes:
        calibration: ``(N, C, H, W)`` training images, from which batch statistics are estimated.
        calibration_labels: ``(N,)`` their classes.
        images: ``(N, C, H, W)`` validation images.
        labels: ``(N,)`` their classes.
    """

    calibration: Tensor
    calibration_labels: Tensor
    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class ProxySettings:
    """What proxies are told beside the shared tensors.

    Attributes:
        seeds: number of initialisations; scores after training are the mean over them.
        real_steps: training steps of the proxy ``real_steps``.
        real_batch_size: images in one of its batches.
        real_learning_rate: its learning rate: either a first value, which falls to a twentieth by
            half a cosine, or one value for each step.
        real_momentum: its momentum: either one value, or one for each step.
        zero_cost_scale: size of the network that proxies without training look at.
        mean: per-channel mean of the images, which are scaled to 0-1.
        std: per-channel standard deviation of the images, which are scaled to 0-1.
    """

    seeds: int = 1
    real_steps: int = 32
    real_batch_size: int = 64
    real_learning_rate: float | tuple[float, ...] = 0.1
    real_momentum: float | tuple[float, ...] = 0.9
    zero_cost_scale: Scale = "final"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


@dataclass(frozen=True)
class Scores:
    """What a proxy found for one candidate.

    Attributes:
        columns: finite scores, by column.
        train_s: seconds of training.
        eval_s: seconds of scoring.
        failures: for each column without a score, the reason.
    """

    columns: Mapping[str, float]
    train_s: float
    eval_s: float
    failures: Mapping[str, str] = field(default_factory=dict)


def seed_of(trial: Trial, initialisation: int) -> int:
    """Return the seed of a candidate's weights.

    Initialisation 0 has the trial's own seed. Each further one has a seed derived from it.
    """
    return derived_seed(trial.seed, initialisation) if initialisation else trial.seed


class Build(Protocol):
    """Builds the candidate on the data's device."""

    def __call__(self, initialisation: int = 0, scale: Scale = "proxy") -> nn.Module:
        """Return a fresh network; its weights depend on the trial's seed and ``initialisation``."""


class Proxy(Protocol):
    """Computes what one proxy, or several of one module, say about a candidate.

    What it fills, needs and costs is declared in ``catalogue``.
    """

    def __call__(self, build: Build, trial: Trial, data: ProxyData) -> Scores:
        """Score one candidate.

        Args:
            build: returns the candidate.
            trial: budget and seed.
            data: real images to score on.

        Raises:
            FloatingPointError: the candidate diverged, so it has no finite score.
        """


class Make(Protocol):
    """The type of the function ``make`` in each module that the catalogue names."""

    def __call__(self, names: Collection[str], settings: ProxySettings, tensors: Tensors) -> Proxy:
        """Make the proxy once in each worker.

        Args:
            names: the proxies of the module that were asked for.
            settings: what they are told.
            tensors: what workers share; it holds what the declarations say they need.
        """
