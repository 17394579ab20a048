"""How good is the shipped digits teacher? Beside two controls that use real images instead.

Twenty ``conv_chain`` learners that no meta-training has seen take 32 steps on the teacher's batches
and are scored on the test split. The controls take 32 steps on as many real images: with a learning
rate, schedule and momentum chosen on 20 other learners (by validation accuracy), and with a
per-step learning rate and momentum that were meta-learned as the teacher's were.

Run with ``python -m experiments.studies.digits_teacher``; the meta-learned control (about 8 minutes
on one core) checkpoints itself under ``checkpoints/`` and goes on after a kill.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import torch

from experiments.shared.common import Table, bootstrap, machine, markdown
from gtn_nas.config.pretrain import PretrainConfig
from gtn_nas.data import load_dataset
from gtn_nas.pretraining.learners import LearnerSampler, lesson_accuracies
from gtn_nas.pretraining.pretraining import Pretraining
from gtn_nas.spaces import get_space
from gtn_nas.teacher.artifact import load_teacher, resolve_teacher
from gtn_nas.teacher.curriculum import real_lesson
from gtn_nas.teacher.inner_loop import Lesson
from gtn_nas.trial import derived_seed

LEARNERS = 20
RATES = (0.1, 0.2, 0.4, 0.8, 1.6)
MOMENTA = (0.0, 0.5, 0.8, 0.9)
SCHEDULES = ("constant", "cosine")
CONTROL_ITERATIONS = 500
"""Fewer than the teacher's, since 64 numbers are learned: the accuracy stands still from 100 on."""
CONTROL = Path("checkpoints/digits-real_data.safetensors")

LessonFor = Callable[[int], Lesson]


class Study:
    """Learners, data and the sizes of a lesson."""

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
        """Return the accuracy of each of 20 fresh learners; ``purpose`` decides which."""
        seeds = [derived_seed("digits teacher", purpose, i) for i in range(LEARNERS)]
        images = getattr(self.dataset, split)
        return lesson_accuracies(lesson_for, self.sampler, self.dataset, images, seeds)

    def tuned(self, rate: float, momentum: float, schedule: str) -> LessonFor:
        """Return real batches with the given step sizes."""
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


def tune(study: Study) -> tuple[float, float, str]:
    """Choose rate, momentum and schedule on 20 other learners."""

    def validation(choice: tuple[float, float, str]) -> float:
        return float(np.mean(study.accuracies(study.tuned(*choice), "tuning", "validation")))

    return max(product(RATES, MOMENTA, SCHEDULES), key=validation)


def meta_learned(study: Study) -> LessonFor:
    """Meta-learn step sizes for real batches."""
    config = PretrainConfig(
        dataset="digits",
        space="conv_chain",
        inner_steps=study.header.inner_steps,
        batch_size=study.header.batch_size,
        meta_iterations=CONTROL_ITERATIONS,
        curriculum="real_data",
        out=CONTROL,
    )
    pretraining = Pretraining(config, resume=CONTROL.with_suffix(".checkpoint").exists())
    for progress in pretraining.run():
        if progress.done % 100 == 0:
            print(progress, flush=True)
    pretraining.finish()
    return pretraining.lesson


def row(name: str, accuracies: Sequence[float]) -> list[object]:
    """Return one line of the table."""
    values = np.array(accuracies)
    low, high = bootstrap(lambda chosen: float(values[chosen].mean()), len(values))
    interval = f"{low:.2%} to {high:.2%}"
    return [name, f"{values.mean():.2%}", interval, f"{values.min():.2%}", f"{values.max():.2%}"]


def main() -> None:
    """Measure, print the table and keep every learner's accuracy."""
    torch.set_num_threads(1)
    study = Study()
    choice = tune(study)
    tuned_name = f"32 real batches, tuned (rate {choice[0]}, momentum {choice[1]}, {choice[2]})"
    arms: dict[str, LessonFor] = {}
    with torch.no_grad():
        lesson = study.teacher.lesson()
    arms["teacher, 32 synthetic batches"] = lambda seed: lesson
    arms[tuned_name] = study.tuned(*choice)
    arms["32 real batches, meta-learned step sizes"] = meta_learned(study)
    table, rows = Table("digits_teacher"), []
    for name, lesson_for in arms.items():
        accuracies = study.accuracies(lesson_for, "measure", "test")
        rows.append(row(name, accuracies))
        for learner, accuracy in enumerate(accuracies):
            table.add({"arm": name, "learner": learner, "test_accuracy": accuracy})
    print(machine())
    print(markdown(["arm", "mean test accuracy", "95 % interval", "worst", "best"], rows))


if __name__ == "__main__":
    main()
