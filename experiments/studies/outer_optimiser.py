"""Which outer optimiser makes the better teacher? One change at a time, three seeds each.

The small budget has MNIST at 14 x 14 pixels, 16 inner steps of 64 images, and 300 outer steps,
whose rates rise and then fall by a cosine. A teacher is measured by the accuracy of six
initialisations of the learner with 32 and 64 channels on 5,000 validation images. A moving average
of the teacher's parameters is measured as well. Run with ``python -m
experiments.studies.outer_optimiser --data-dir DIR [--budget small|full]``; it can be interrupted
and started again.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.shared.machine import machine
from experiments.shared.mnist import (
    Options,
    accuracies,
    fixed,
    options,
    paper_learner,
    set_outer_loop,
)
from experiments.shared.tables import Table, markdown
from gtn_nas.pretraining.pretraining import Pretraining
from gtn_nas.pretraining.start import start_anew
from gtn_nas.teacher.curriculum import RealData, Teacher

INITIALISATIONS = 6
SEEDS = (0, 1, 2)
ITERATIONS = {"small": 300, "full": 400}
EXAMINED = (50, 100, 150, 200, 300, 400)
AVERAGE = 0.97
"""Decay of the moving average of the teacher; it is lower in the first steps."""
RATES = ("learning_rate", "noise_learning_rate", "label_learning_rate", "step_size_learning_rate")
SLOW = (0.9, 0.999)


@dataclass(frozen=True)
class Arm:
    """The differences of an arm from the current recipe.

    Attributes:
        scale: factor of all four outer learning rates.
        betas: Adam's betas.
        meta: settings of ``MetaConfig`` that differ.
        factors: further factors of single outer learning rates, by name.
        eps: Adam's epsilon.
    """

    scale: float = 1.0
    betas: tuple[float, float] = (0.9, 0.9)
    meta: Mapping[str, Any] = field(default_factory=dict)
    factors: Mapping[str, float] = field(default_factory=dict)
    eps: float = 1e-8

    def apply(self, run: Pretraining) -> None:
        """Change the outer loop of a meta-training to that of this arm."""
        old = run.trainer.config
        rates = {n: getattr(old, n) * self.scale * self.factors.get(n, 1.0) for n in RATES}
        set_outer_loop(run, **rates, **self.meta)
        for group in run.trainer.optimiser.param_groups:
            group["betas"], group["eps"] = self.betas, self.eps


def _ten(**values: Any) -> Arm:
    return Arm(scale=10.0, betas=SLOW, **values)


ARMS: Mapping[str, Arm] = MappingProxyType(
    {
        "today: betas (0.9, 0.9), rates x 1": Arm(),
        "(0.9, 0.999), x 10": _ten(),
        "(0.9, 0.999), x 1": Arm(betas=SLOW),
        "(0.9, 0.999), x 5": Arm(scale=5.0, betas=SLOW),
        "(0.9, 0.999), x 20": Arm(scale=20.0, betas=SLOW),
        "x 10, generator x 1/3": _ten(factors={"learning_rate": 1 / 3}),
        "x 10, generator x 3": _ten(factors={"learning_rate": 3}),
        "x 10, noise x 1/3": _ten(factors={"noise_learning_rate": 1 / 3}),
        "x 10, noise x 3": _ten(factors={"noise_learning_rate": 3}),
        "x 10, labels x 1/3": _ten(factors={"label_learning_rate": 1 / 3}),
        "x 10, labels x 3": _ten(factors={"label_learning_rate": 3}),
        "x 10, step sizes x 1/3": _ten(factors={"step_size_learning_rate": 1 / 3}),
        "x 10, step sizes x 3": _ten(factors={"step_size_learning_rate": 3}),
        "x 10, a loss at every step": _ten(meta={"loss_every": 1}),
        "x 10, 5,000 real images": _ten(meta={"real_batch_size": 5000}),
        "x 10, 512 real images": _ten(meta={"real_batch_size": 512}),
        "x 10, clip at 1": _ten(meta={"clip_factor": 1.0}),
        "x 10, no clip": _ten(meta={"clip_factor": 1e9}),
        "x 10, (0.9, 0.99)": Arm(scale=10.0, betas=(0.9, 0.99)),
        "x 10, (0.95, 0.999)": Arm(scale=10.0, betas=(0.95, 0.999)),
        "x 10, (0.8, 0.999)": Arm(scale=10.0, betas=(0.8, 0.999)),
        "x 10, two learners a step": _ten(meta={"learners_per_step": 2}),
    }
)


class Average:
    """A moving average of a teacher's parameters, with a decay that rises to ``AVERAGE``."""

    def __init__(self, source: Teacher | RealData) -> None:
        self.source = copy.deepcopy(source)
        self.steps = 0

    @torch.no_grad()
    def add(self, source: Teacher | RealData) -> None:
        """Add the teacher's current parameters to the average."""
        self.steps += 1
        decay = min(AVERAGE, (1 + self.steps) / (10 + self.steps))
        for mean, now in zip(_floats(self.source), _floats(source), strict=True):
            mean.lerp_(now, 1 - decay)


def _floats(source: Teacher | RealData) -> Iterator[Tensor]:
    return (t for t in source.state_dict().values() if t.is_floating_point())


def measure(asked: Options, name: str, seed: int) -> list[dict[str, object]]:
    """Meta-train an arm with a seed; return a row for each measurement during the training."""
    total = ITERATIONS[asked.budget]
    dataset = asked.dataset()
    run = Pretraining(asked.config(f"outer-{name}-{seed}", seed=seed, meta_iterations=total))
    learner = paper_learner(dataset)
    for _ in start_anew(run.trainer, run.sizes, run.examiner, run.config.warm_start_steps):
        pass
    ARMS[name].apply(run)
    average, losses, rows, begun = Average(run.trainer.source), [], [], time.process_time()

    def examined(source: Teacher | RealData) -> list[float]:
        with torch.no_grad():
            lesson = source.lesson(torch.Generator().manual_seed(0))
        return accuracies(fixed(lesson), learner, dataset, "validation", INITIALISATIONS)

    train_s = 0.0
    for step in run.trainer.run():
        losses.append(step.meta_loss)
        average.add(run.trainer.source)
        if step.iteration in EXAMINED or step.iteration == total:
            train_s += time.process_time() - begun
            now, mean = examined(run.trainer.source), examined(average.source)
            rows.append(
                {
                    "budget": asked.budget,
                    "arm": name,
                    "seed": seed,
                    "steps": step.iteration,
                    "validation_accuracy": float(np.mean(now)),
                    "worst": min(now),
                    "averaged_accuracy": float(np.mean(mean)),
                    "averaged_worst": min(mean),
                    "meta_loss": float(np.mean(losses[-25:])),
                    "skipped": run.trainer.skipped,
                    "train_s": round(train_s, 1),
                }
            )
            print(rows[-1], flush=True)
            begun = time.process_time()
    return rows


def main() -> None:
    """Measure the arms that are not in the table yet, then print the table."""
    asked = options(__doc__)
    table = Table("outer_optimiser")
    for seed in SEEDS:
        for name in ARMS:
            if not table.has(budget=asked.budget, arm=name, seed=seed):
                for row in measure(asked, name, seed):
                    table.add(row)
    total, lines = ITERATIONS[asked.budget], []
    for name in ARMS:
        own = table.where(budget=asked.budget, arm=name, steps=total)
        columns = ("validation_accuracy", "averaged_accuracy")
        means = [f"{np.mean([float(r[c]) for r in own]):.2%}" for c in columns]
        lines.append([name, *means, ", ".join(f"{float(r[columns[1]]):.2%}" for r in own)])
    print(f"{machine()}, budget {asked.budget}, {total} outer steps")
    print(markdown(["arm", "accuracy", "averaged", "averaged, by seed"], lines))


if __name__ == "__main__":
    main()
