"""Accuracy against training steps: the teacher's lesson compared with real batches.

The learner is the paper's, with 32 and 64 channels. The learning rate and momentum of real batches
are tuned for each number of steps on other initialisations. Of the teacher's lesson, the first
steps are taken. This is the paper's "few steps" curve (figure 3 of arXiv 1912.07768).

Run with ``python -m experiments.studies.steps_curve --data-dir DIR [--budget small|full]`` after
``experiments.studies.mnist_headline``, whose teacher it uses.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from experiments.shared.machine import machine
from experiments.shared.mnist import (
    RealSteps,
    accuracies,
    fixed,
    headline_lesson,
    options,
    paper_learner,
    summary,
)
from experiments.shared.tables import Table, markdown

STEPS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
INITIALISATIONS, TUNING = 10, 2
FIGURES = Path("docs/figures")


def main() -> None:
    """Measure both curves, draw them and print them."""
    asked = options(__doc__)
    lesson, dataset, table = headline_lesson(asked), asked.dataset(), Table("steps_curve")
    learner, real = paper_learner(dataset), RealSteps(dataset, lesson.images.shape[1])
    curves: dict[str, dict[int, list[float]]] = {"teacher": {}, "real batches": {}}
    rows: list[list[object]] = []
    for steps in STEPS:
        choice = real.tuned(steps, learner, TUNING)
        lessons = {"real batches": real.lessons(steps, *choice)}
        if steps <= lesson.steps:
            lessons["teacher"] = fixed(lesson.first(steps))
        for arm, lesson_for in lessons.items():
            found = accuracies(lesson_for, learner, dataset, "test", INITIALISATIONS)
            curves[arm][steps] = found
            row = {"budget": asked.budget, "arm": arm, "steps": steps}
            measured = [
                row | {"initialisation": seed, "test_accuracy": accuracy}
                for seed, accuracy in enumerate(found)
            ]
            table.replace(measured, **row)
        shown = [summary(c[steps]) if steps in c else "" for c in curves.values()]
        rows.append([steps, *shown])
    draw(curves, FIGURES / f"steps-curve-{asked.budget}.svg")
    print(f"{machine()}, budget {asked.budget}")
    print(markdown(["steps", *curves], rows))


def draw(curves: dict[str, dict[int, list[float]]], path: Path) -> None:
    """Draw the mean test error and its range over initialisations, on logarithmic axes.

    Args:
        curves: by arm and number of steps, the accuracies (0-1) of all initialisations.
        path: the SVG file to write.
    """
    mpl.rcParams["svg.hashsalt"] = "gtn-nas"  # the same curve gives the same file
    figure, axes = plt.subplots(figsize=(6, 4))
    for arm, curve in curves.items():
        errors = 100 * (1 - np.array(list(curve.values())))
        axes.plot(list(curve), errors.mean(1), marker="o", label=arm)
        axes.fill_between(list(curve), errors.min(1), errors.max(1), alpha=0.2)
    axes.set(xscale="log", yscale="log", xlabel="training steps", ylabel="test error, %")
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
    plt.close(figure)


if __name__ == "__main__":
    main()
