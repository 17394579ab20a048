"""Code that the experiments on digits share: the shipped teacher, and lessons of real batches."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import numpy as np
import torch

from gtn_nas.data import load_dataset
from gtn_nas.pretraining.learners import LearnerSampler, lesson_accuracies
from gtn_nas.spaces import get_space
from gtn_nas.teacher.artifact import load_teacher, resolve_teacher
from gtn_nas.teacher.curriculum import real_lesson
from gtn_nas.teacher.inner_loop import Lesson
from gtn_nas.trial import derived_seed

LEARNERS = 20
RATES = (0.1, 0.2, 0.4, 0.8, 1.6)
MOMENTA = (0.0, 0.5, 0.8, 0.9)
SCHEDULES = ("constant", "cosine")

LessonFor = Callable[[int], Lesson]


class Digits:
    """The digits data set, its shipped teacher, and held-out ``conv_chain`` learners.

    Attributes:
        teacher: the shipped teacher.
        header: the header of its artefact.
        dataset: the digits data set.
        sampler: makes a learner from a seed, with an architecture held out from meta-training.
        images: the training images, normalised, ``(n, 1, 8, 8)``.
    """

    def __init__(self) -> None:
        self.teacher, self.header = load_teacher(resolve_teacher("digits-conv_chain"))
        self.dataset = load_dataset("digits")
        device = torch.device("cpu")
        self.sampler = LearnerSampler(
            get_space("conv_chain"),
            self.dataset.image_shape,
            self.dataset.num_classes,
            device,
            held_out=True,
        )
        self.images = self.dataset.normalise(self.dataset.train.images)

    def accuracies(self, lesson_for: LessonFor, purpose: str, split: str) -> list[float]:
        """Return the accuracies (0-1) of ``LEARNERS`` newly initialised learners.

        Args:
            lesson_for: returns the lesson of a learner, by its seed.
            purpose: determines the seeds; another purpose gives other learners.
            split: the split that they are scored on.
        """
        seeds = [derived_seed("digits teacher", purpose, i) for i in range(LEARNERS)]
        images = getattr(self.dataset, split)
        return lesson_accuracies(lesson_for, self.sampler, self.dataset, images, seeds)

    def real_batches(self, rate: float, momentum: float, schedule: str) -> LessonFor:
        """Return lessons of as many real batches as the teacher's lesson has.

        Args:
            rate: learning rate of the first step.
            momentum: momentum of every step.
            schedule: ``constant``, or ``cosine`` for a rate that falls by half a cosine.
        """
        steps = self.header.inner_steps
        fall = 0.5 * (1 + torch.cos(math.pi * torch.arange(steps) / steps))
        rates = rate * (fall if schedule == "cosine" else torch.ones(steps))
        return lambda seed: real_lesson(
            self.images,
            self.dataset.train.labels,
            self.header.batch_size,
            rates,
            torch.full((steps,), momentum),
            torch.Generator().manual_seed(seed),
        )

    def tuned(self) -> tuple[float, float, str]:
        """Return the rate, momentum and schedule of the best mean validation accuracy.

        They are chosen on other learners than those that measure.
        """

        def validation(choice: tuple[float, float, str]) -> float:
            found = self.accuracies(self.real_batches(*choice), "tuning", "validation")
            return float(np.mean(found))

        return max(product(RATES, MOMENTA, SCHEDULES), key=validation)
