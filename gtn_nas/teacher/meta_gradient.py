"""The meta-gradient of one learner, and what computes those of an outer step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn


class SampleLearner(Protocol):
    """Builds a learner with a freshly sampled architecture and fresh weights, on its device."""

    def __call__(self, seed: int, weights: int | None = None) -> nn.Module:
        """Return a learner.

        Args:
            seed: seed of the architecture, and of the weights if ``weights`` is ``None``.
            weights: seed of the weights; learners that are compared have the same one.
        """


@dataclass(frozen=True)
class Shared:
    """Values that all learners of an outer step share.

    Attributes:
        start: first inner step that is differentiated.
        draws: seed of the real images and of the weights; ``None`` if each learner uses its own
            seed.
    """

    start: int = 0
    draws: int | None = None


NOTHING_SHARED = Shared()
"""A window at the start of the lesson, and draws of the learner's own."""


@dataclass(frozen=True)
class MetaGradient:
    """The gradient of one learner's meta-loss with respect to the teacher.

    Attributes:
        seed: seed of the learner.
        gradients: gradient with respect to each learned parameter of the teacher.
        norm: norm of all gradients together.
        loss: the meta-loss.
        accuracy: accuracy (0-1) on the real batch at the end of the window.
    """

    seed: int
    gradients: list[Tensor]
    norm: float
    loss: float
    accuracy: float


Exchange = Callable[[Sequence[int], Shared], list[MetaGradient]]
"""Computes the meta-gradients of an outer step from the learners' seeds and their shared values.
Meta-gradients that were lost with a worker are missing from the result."""
