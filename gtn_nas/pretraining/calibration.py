"""Examines learners on validation images, and chooses their learning rates by it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from gtn_nas.data.base import ImageDataset
from gtn_nas.pretraining.learners import LearnerSampler, lesson_accuracies
from gtn_nas.spaces.base import SearchSpace
from gtn_nas.teacher.curriculum import RealData, StepSizes
from gtn_nas.teacher.inner_loop import Lesson
from gtn_nas.trial import derived_seed

RATE_SCALES = ((1.4, 2.0, 2.8, 4.0), (0.85, 0.7, 0.6, 0.5))
"""What learned rates are multiplied with, in either direction as long as that helps."""
HELD_OUT = "held out"
EXAMINED_IMAGES = 1000
"""Validation images that learners are scored on at most; their order is random."""

LessonFor = Callable[[int], Lesson]


@dataclass(frozen=True)
class Examiner:
    """Teaches fresh learners and scores them.

    Attributes:
        space: where learners are sampled from.
        dataset: whose validation images they are scored on.
        device: where that happens.
        seed: decides which learners.
    """

    space: SearchSpace
    dataset: ImageDataset
    device: torch.device
    seed: int

    def accuracy(self, lesson_for: LessonFor, purpose: str, learners: int) -> float:
        """Return the mean validation accuracy (0-1) of learners.

        Args:
            lesson_for: the lesson of a learner, from its seed.
            purpose: decides which learners; those ``HELD_OUT`` are never meta-trained with.
            learners: how many.
        """
        data = self.dataset
        sampler = LearnerSampler(
            self.space,
            data.image_shape,
            data.num_classes,
            self.device,
            held_out=purpose == HELD_OUT,
        )
        split = data.validation.first(EXAMINED_IMAGES)
        seeds = [derived_seed(self.seed, purpose, i) for i in range(learners)]
        return sum(lesson_accuracies(lesson_for, sampler, data, split, seeds)) / learners


def try_start_rates(
    rates: Sequence[float], control: RealData, examiner: Examiner, learners: int = 6
) -> Iterator[tuple[float, float]]:
    """Teach with real batches at every rate; yield rates and accuracies."""

    @torch.no_grad()
    def lesson(seed: int) -> Lesson:
        return control.lesson(torch.Generator().manual_seed(seed))

    for rate in rates:
        control.step_sizes.start_at(rate)
        yield rate, examiner.accuracy(lesson, "start rate", learners)


def calibrate(
    step_sizes: StepSizes, lesson_for: LessonFor, examiner: Examiner, learners: int
) -> float:
    """Scale the learned rates to what suits most learners; return the scale.

    The outer steps may drive rates to the edge of what learners can bear, since the few that they
    upset have their gradients clipped; a little less costs the others nothing. A teacher that was
    trained at low rates, where meta-gradients are less noisy, teaches more at higher ones.
    """
    learned = step_sizes.log_rate.detach().clone()

    @torch.no_grad()
    def set_scale(scale: float) -> None:
        step_sizes.log_rate.copy_((learned + math.log(scale)).half())

    def accuracy(scale: float) -> float:
        set_scale(scale)
        return examiner.accuracy(lesson_for, "calibration", learners)

    best, highest = 1.0, accuracy(1.0)
    for direction in RATE_SCALES:
        for scale in direction:
            found = accuracy(scale)
            if found <= highest:
                break
            best, highest = scale, found
        if best != 1.0:
            break  # what is better above is no better below
    set_scale(best)
    return best
