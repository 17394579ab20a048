"""The paper's MNIST result: 32 SGD steps on synthetic images, each seen once.

A teacher is meta-trained on the paper's learner family (two convolutions of random widths and a
fully connected layer). Ten initialisations of the learner with 32 and 64 channels are then taught
and tested. For comparison, the study finds how many steps on real batches, with tuned rate and
momentum, reach the same accuracy, and measures the time of both in milliseconds.

Run with ``python -m experiments.studies.mnist_headline --data-dir DIR [--budget small|full]``; it
can be interrupted and started again.
"""

from __future__ import annotations

import time
from statistics import mean, median

from torch.optim.swa_utils import update_bn

from experiments.shared.machine import machine
from experiments.shared.mnist import (
    FixedLearner,
    LessonFor,
    RealSteps,
    accuracies,
    fixed,
    headline_lesson,
    options,
    paper_learner,
    summary,
)
from experiments.shared.tables import Table, markdown
from gtn_nas.data.base import ImageDataset
from gtn_nas.teacher.inner_loop import score, teach

INITIALISATIONS = 10
SCORED = 2000
"""Validation images in the measurement of time."""
REAL_STEPS = (32, 64, 128, 256, 512, 1024)


def cost_ms(lesson_for: LessonFor, learner: FixedLearner, dataset: ImageDataset) -> float:
    """Return the median milliseconds of teaching a learner and scoring it on ``SCORED`` images."""
    images = dataset.normalise(dataset.validation.images[:SCORED])
    labels, calibration = dataset.validation.labels[:SCORED], dataset.calibration_images()
    times_ms = []
    for seed in range(INITIALISATIONS):
        lesson, network = lesson_for(seed), learner(seed)
        begun = time.perf_counter()
        teach(network, lesson)
        update_bn([calibration], network)
        score(network, images, labels)
        times_ms.append(1000 * (time.perf_counter() - begun))
    return median(times_ms)


def main() -> None:
    """Meta-train, measure and print the table."""
    asked = options(__doc__)
    lesson, dataset = headline_lesson(asked), asked.dataset()
    learner = paper_learner(dataset)
    real = RealSteps(dataset, lesson.images.shape[1])
    arms: dict[str, LessonFor] = {f"teacher, {lesson.steps} synthetic batches": fixed(lesson)}
    for steps in REAL_STEPS:
        rate, momentum = real.tuned(steps, learner, 2)
        name = f"{steps} real batches (rate {rate}, momentum {momentum})"
        arms[name] = real.lessons(steps, rate, momentum)
        reached = mean(accuracies(arms[name], learner, dataset, "validation", 3, "tune"))
        if reached >= mean(accuracies(fixed(lesson), learner, dataset, "validation", 3, "tune")):
            break
    table, rows = Table("mnist_headline"), []
    for name, lesson_for in arms.items():
        found = accuracies(lesson_for, learner, dataset, "test", INITIALISATIONS)
        milliseconds = cost_ms(lesson_for, learner, dataset)
        rows.append([name, summary(found), f"{milliseconds:.0f} ms"])
        about = {"budget": asked.budget, "arm": name}
        measured = [
            {**about, "initialisation": seed, "test_accuracy": accuracy, "cost_ms": milliseconds}
            for seed, accuracy in enumerate(found)
        ]
        table.replace(measured, **about)
    print(f"{machine()}, budget {asked.budget}")
    print(markdown(["arm", "test accuracy", f"training and scoring {SCORED} images"], rows))


if __name__ == "__main__":
    main()
