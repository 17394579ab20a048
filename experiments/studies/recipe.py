"""What does each part of the meta-training recipe add? One part is changed at a time.

A teacher is meta-trained on MNIST for the paper's learner family, with two or three seeds. Ten
initialisations of the learner with 32 and 64 channels are taught and scored on validation images,
since the recipe was chosen by them. Run with ``python -m experiments.studies.recipe --data-dir DIR
[--budget small|full]``; it can be interrupted and started again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from experiments.shared.machine import machine
from experiments.shared.mnist import (
    Options,
    accuracies,
    meta_train,
    options,
    paper_learner,
    set_outer_loop,
)
from experiments.shared.tables import Table, markdown
from gtn_nas.pretraining.pretraining import Pretraining

INITIALISATIONS = 10
SEEDS = {"small": (0, 1), "full": (0, 1, 2)}
ITERATIONS = {"small": 100, "full": 500}


@dataclass(frozen=True)
class Arm:
    """The differences of an arm from the recipe.

    Attributes:
        settings: settings of ``PretrainConfig`` that differ.
        meta: settings of ``MetaConfig`` that differ.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)


ARMS: Mapping[str, Arm] = MappingProxyType(
    {
        "the recipe": Arm(),
        "noise as slow as the generator": Arm(meta={"noise_learning_rate": 0.003}),
        "noise at 0.1": Arm(meta={"noise_learning_rate": 0.1}),
        "step sizes at 0.02": Arm(meta={"step_size_learning_rate": 0.02}),
        "step sizes at 0.05": Arm(meta={"step_size_learning_rate": 0.05}),
        "labels at 0.1": Arm(meta={"label_learning_rate": 0.1}),
        "hard labels": Arm({"soft_labels": False}),
        "half of the real images distorted": Arm({"augment": True}),
        "no warm start": Arm({"warm_start_steps": 0}),
        "windows of half the lesson": Arm({"window": 8}),
        "a loss at every second step": Arm(meta={"loss_every": 2}),
        "generator at 0.001": Arm({"learning_rate": 0.001}),
        "generator at 0.01": Arm({"learning_rate": 0.01}),
    }
)


def measure(asked: Options, name: str, seed: int) -> dict[str, object]:
    """Meta-train an arm with a seed, and return its row of the table."""
    arm, dataset = ARMS[name], asked.dataset()
    config = asked.config(
        f"recipe-{name}-{seed}",
        seed=seed,
        meta_iterations=ITERATIONS[asked.budget],
        **arm.settings,
    )
    run = Pretraining(config)
    set_outer_loop(run, **arm.meta)
    meta_train(run)
    found = accuracies(run.lesson, paper_learner(dataset), dataset, "validation", INITIALISATIONS)
    run.checkpoint.remove()
    return {
        "budget": asked.budget,
        "arm": name,
        "seed": seed,
        "validation_accuracy": float(np.mean(found)),
        "worst": min(found),
        "skipped": run.trainer.skipped,
    }


def main() -> None:
    """Measure the arms that are not in the table yet, then print the table."""
    asked = options(__doc__)
    table, rows = Table("recipe"), []
    for seed in SEEDS[asked.budget]:
        for name in ARMS:
            if not table.has(budget=asked.budget, arm=name, seed=seed):
                table.add(measure(asked, name, seed))
    for name in ARMS:
        own = table.where(budget=asked.budget, arm=name)
        means = [float(r["validation_accuracy"]) for r in own]
        rows.append([name, f"{np.mean(means):.2%}", ", ".join(f"{m:.2%}" for m in means)])
    print(f"{machine()}, budget {asked.budget}, {ITERATIONS[asked.budget]} outer steps")
    print(markdown(["arm", "validation accuracy", "by seed"], rows))


if __name__ == "__main__":
    main()
