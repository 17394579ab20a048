"""What every proxy offers, and what it is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

from torch import Tensor, nn

from gtn_nas.spaces.base import Scale
from gtn_nas.trial import Trial, derived_seed

Direction = Literal["higher", "lower"]


@dataclass(frozen=True)
class ProxyData:
    """Real images on the worker's device, normalised.

    Attributes:
        calibration: ``(N, C, H, W)`` training images that batch statistics are estimated on.
        calibration_labels: ``(N,)`` their classes.
        images: ``(N, C, H, W)`` validation images.
        labels: ``(N,)`` their classes.
    """

    calibration: Tensor
    calibration_labels: Tensor
    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Scores:
    """What a proxy found.

    Attributes:
        columns: finite scores by the name of their column.
        train_s: seconds of training.
        eval_s: seconds of scoring.
        failures: why a column is missing, by its name.
    """

    columns: Mapping[str, float]
    train_s: float
    eval_s: float
    failures: Mapping[str, str] = field(default_factory=dict)


def seed_of(trial: Trial, initialisation: int) -> int:
    """Return the seed of a candidate's weights: the trial's own at first, then others."""
    return derived_seed(trial.seed, initialisation) if initialisation else trial.seed


class Build(Protocol):
    """Builds a candidate on the data's device."""

    def __call__(self, initialisation: int = 0, scale: Scale = "proxy") -> nn.Module:
        """Return it with weights seeded by its trial, others for every initialisation."""


class Proxy(Protocol):
    """Estimates how good a candidate would be after a full training.

    Attributes:
        name: what it is called in a configuration.
        directions: whether higher or lower is better, for every column it may fill.
        source: where it comes from.
    """

    name: ClassVar[str]
    directions: ClassVar[Mapping[str, Direction]]
    source: ClassVar[str]

    def __call__(self, build: Build, trial: Trial, data: ProxyData) -> Scores:
        """Score one candidate.

        Args:
            build: returns the candidate.
            trial: budget and seed.
            data: real images to score on.

        Raises:
            FloatingPointError: the candidate diverged, so that there is no finite score.
        """
