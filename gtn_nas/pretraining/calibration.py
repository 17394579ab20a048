"""Measures learners on validation images, and chooses learning rates by their accuracy."""

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
"""Factors of the learned rates that are tried, upwards and downwards. A direction is left as soon
as a factor does not improve the accuracy."""
HELD_OUT = "held out"
EXAMINED_IMAGES = 1000
"""Largest number of validation images that learners are scored on; their order is random."""

LessonFor = Callable[[int], Lesson]
"""Returns the lesson of a learner from the learner's seed."""


@dataclass(frozen=True)
class Examiner:
    """Teaches fresh learners and measures their accuracy.

    Attributes:
        space: search space from which learners are sampled.
        dataset: data set on whose validation images learners are scored.
        device: device on which learners are taught and scored.
        seed: seed of the learners.
    """

    space: SearchSpace
    dataset: ImageDataset
    device: torch.device
    seed: int

    def accuracy(self, lesson_for: LessonFor, purpose: str, learners: int) -> float:
        """Return the mean validation accuracy (0-1) of fresh learners after a lesson.

        Args:
            lesson_for: returns the lesson of a learner from the learner's seed.
            purpose: part of the learners' seeds. With ``HELD_OUT``, their architectures are ones
                that meta-training never uses.
            learners: number of learners.
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
    """Teach learners with real batches at each of several learning rates.

    Args:
        rates: learning rates at the start of the lesson.
        control: draws the real batches; its step sizes are changed.
        examiner: teaches and scores the learners.
        learners: number of learners for each rate.

    Yields:
        Each rate and the mean validation accuracy (0-1) at it.
    """

    @torch.no_grad()
    def lesson(seed: int) -> Lesson:
        return control.lesson(torch.Generator().manual_seed(seed))

    for rate in rates:
        control.step_sizes.start_at(rate)
        yield rate, examiner.accuracy(lesson, "start rate", learners)


def calibrate(
    step_sizes: StepSizes, lesson_for: LessonFor, examiner: Examiner, learners: int
) -> float:
    """Scale the learned rates in place to those at which learners are most accurate.

    Outer steps may raise the rates until some learners diverge, since the gradients of these few
    are clipped. Slightly lower rates cost the other learners nothing. Conversely, a teacher that
    was trained at low rates, where meta-gradients are less noisy, teaches better at higher ones.

    Args:
        step_sizes: the learned rates and momenta.
        lesson_for: returns the lesson of a learner from the learner's seed.
        examiner: teaches and scores the learners.
        learners: number of learners for each factor.

    Returns:
        The factor that the rates were multiplied by.
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
            break  # if higher rates are better, lower ones are not
    set_scale(best)
    return best
