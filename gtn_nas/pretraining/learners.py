"""Learners: freshly sampled networks to meta-train with, and others to measure a teacher on."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from gtn_nas.architecture import Architecture
from gtn_nas.data.base import ImageDataset, Split
from gtn_nas.spaces.base import SearchSpace
from gtn_nas.teacher.inner_loop import Lesson, score, teach

TRIES = 500
"""Samples until a side of the hold-out rule is given up: one in eight misses it so often never."""


def is_held_out(architecture: Architecture) -> bool:
    """Tell whether meta-training must never see this architecture: one key in eight."""
    return int(architecture.key, 16) % 8 == 0


def sample_architecture(space: SearchSpace, seed: int, *, held_out: bool) -> Architecture:
    """Sample an architecture on the wanted side of the hold-out rule.

    A space of a few architectures may have none there; then any of them is returned.
    """
    rng = random.Random(seed)
    for _ in range(TRIES):
        architecture = space.sample(rng)
        if is_held_out(architecture) == held_out:
            break
    return architecture


def holds_any_out(space: SearchSpace) -> bool:
    """Tell whether the hold-out rule leaves an architecture of the space to measure with."""
    return is_held_out(sample_architecture(space, 0, held_out=True))


@dataclass(frozen=True)
class LearnerSampler:
    """Builds freshly sampled learners with fresh weights, both from one seed or from two."""

    space: SearchSpace
    image_shape: tuple[int, int, int]
    num_classes: int
    device: torch.device
    held_out: bool = False

    def __call__(self, seed: int, weights: int | None = None) -> nn.Module:
        """Return a network at proxy scale; see ``SampleLearner``."""
        architecture = sample_architecture(self.space, seed, held_out=self.held_out)
        torch.manual_seed(seed if weights is None else weights)
        network = self.space.build(architecture, self.image_shape, self.num_classes, "proxy")
        return network.to(self.device)


def lesson_accuracies(
    lesson_for: Callable[[int], Lesson],
    sample_learner: Callable[[int], nn.Module],
    dataset: ImageDataset,
    split: Split,
    seeds: Sequence[int],
) -> list[float]:
    """Teach one learner per seed and return each one's accuracy (0-1) on a split of a data set.

    A learner that diverges scores zero. Everything runs where the lessons are.
    """
    return [_taught(lesson_for(s), sample_learner(s), dataset, split)[0] for s in seeds]


def lesson_losses(
    lesson_for: Callable[[int], Lesson],
    sample_learner: Callable[[int], nn.Module],
    dataset: ImageDataset,
    split: Split,
    seeds: Sequence[int],
) -> list[float]:
    """Teach likewise and return each learner's loss; of one that diverges it is infinite."""
    return [_taught(lesson_for(s), sample_learner(s), dataset, split)[1] for s in seeds]


def _taught(
    lesson: Lesson, learner: nn.Module, dataset: ImageDataset, split: Split
) -> tuple[float, float]:
    """Return a learner's accuracy and loss after a lesson."""
    device = lesson.images.device
    try:
        teach(learner, lesson)
    except FloatingPointError:
        return 0.0, math.inf
    update_bn([dataset.calibration_images().to(device)], learner)
    images, labels = dataset.normalise(split.images.to(device)), split.labels.to(device)
    accuracy, loss = score(learner, images, labels)
    return accuracy, loss if math.isfinite(loss) else math.inf
