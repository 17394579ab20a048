"""Learners: freshly sampled networks for meta-training, and held-out ones to measure a teacher."""

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
"""Samples to draw before giving up. One architecture in eight is held out, so that practically
always both kinds are among them, unless the search space is tiny."""


def is_held_out(architecture: Architecture) -> bool:
    """Tell whether an architecture is held out from meta-training, as one key in eight is."""
    return int(architecture.key, 16) % 8 == 0


def sample_architecture(space: SearchSpace, seed: int, *, held_out: bool) -> Architecture:
    """Sample an architecture that is held out from meta-training, or one that is not.

    A very small search space may have none of the wanted kind. Then any architecture is returned.
    """
    rng = random.Random(seed)
    for _ in range(TRIES):
        architecture = space.sample(rng)
        if is_held_out(architecture) == held_out:
            break
    return architecture


def holds_any_out(space: SearchSpace) -> bool:
    """Tell whether a search space has held-out architectures, to measure a teacher with."""
    return is_held_out(sample_architecture(space, 0, held_out=True))


@dataclass(frozen=True)
class LearnerSampler:
    """Builds freshly sampled learners with fresh weights; a ``SampleLearner``.

    Attributes:
        space: search space from which learners are sampled.
        image_shape: channels, height and width.
        num_classes: number of classes.
        device: device of the learners.
        held_out: whether to sample held-out architectures, instead of the others.
    """

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
    """Teach one learner per seed and return each learner's accuracy (0-1) on a split.

    A learner that diverges scores 0. Everything runs on the device of the lessons.

    Args:
        lesson_for: returns the lesson of a learner from the learner's seed.
        sample_learner: builds a learner from a seed.
        dataset: data set with the images for batch-norm statistics, and their normalisation.
        split: images that the learners are scored on.
        seeds: one seed per learner.
    """
    return [_taught(lesson_for(s), sample_learner(s), dataset, split)[0] for s in seeds]


def lesson_losses(
    lesson_for: Callable[[int], Lesson],
    sample_learner: Callable[[int], nn.Module],
    dataset: ImageDataset,
    split: Split,
    seeds: Sequence[int],
) -> list[float]:
    """Teach one learner per seed and return each learner's mean cross-entropy on a split.

    The loss of a learner that diverges is infinite. See ``lesson_accuracies`` for the arguments.
    """
    return [_taught(lesson_for(s), sample_learner(s), dataset, split)[1] for s in seeds]


def _taught(
    lesson: Lesson, learner: nn.Module, dataset: ImageDataset, split: Split
) -> tuple[float, float]:
    """Teach a learner a lesson and return its accuracy and loss."""
    device = lesson.images.device
    try:
        teach(learner, lesson)
    except FloatingPointError:
        return 0.0, math.inf
    update_bn([dataset.calibration_images().to(device)], learner)
    images, labels = dataset.normalise(split.images.to(device)), split.labels.to(device)
    accuracy, loss = score(learner, images, labels)
    return accuracy, loss if math.isfinite(loss) else math.inf
