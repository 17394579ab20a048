"""What does a curriculum add? The paper's ablation on MNIST, with three controls.

Each arm is meta-trained on the paper's learner family, with a few seeds and equally many outer
steps. Ten initialisations of the learner with 32 and 64 channels are then taught and tested. The
controls are: the random noise is not learned; pixels are learned without a generator; and real
batches, of which only the step sizes are learned. The paper's order of accuracies is none < all
shuffled <= shuffled batch < full (figure 4b of arXiv 1912.07768).

Run with ``python -m experiments.studies.curriculum_ablation --data-dir DIR [--budget small|full]``;
it can be interrupted and started again.
"""

from __future__ import annotations

from typing import get_args

import numpy as np

from experiments.shared.intervals import mean_with_interval
from experiments.shared.machine import machine
from experiments.shared.mnist import accuracies, meta_trained, options, paper_learner
from experiments.shared.tables import Table, markdown
from gtn_nas.config.pretrain import Curriculum

SEEDS = (0, 1, 2)
INITIALISATIONS = 10
ARMS = (*reversed(get_args(Curriculum)), "real_data")


def main() -> None:
    """Meta-train and measure the arms that are not in the table yet, then print the table."""
    asked = options(__doc__)
    dataset, table = asked.dataset(), Table("curriculum_ablation")
    learner = paper_learner(dataset)
    for seed in SEEDS:
        for arm in ARMS:
            if table.has(budget=asked.budget, arm=arm, seed=seed):
                continue
            config = asked.config(f"ablation-{arm}-{seed}", curriculum=arm, seed=seed)
            run = meta_trained(config)
            run.finish()
            found = accuracies(run.lesson, learner, dataset, "test", INITIALISATIONS)
            table.add(
                {
                    "budget": asked.budget,
                    "arm": arm,
                    "seed": seed,
                    "test_accuracy": float(np.mean(found)),
                    "worst": min(found),
                }
            )
    print(f"{machine()}, budget {asked.budget}")
    print(
        markdown(
            ["arm", "seeds", "test accuracy", "95 % interval", "worst"], rows(table, asked.budget)
        )
    )


def rows(table: Table, budget: str) -> list[list[object]]:
    """Return one line for each arm: its mean over seeds with interval, and the worst accuracy."""
    lines: list[list[object]] = []
    for arm in ARMS:
        own = table.where(budget=budget, arm=arm)
        found = mean_with_interval([float(row["test_accuracy"]) for row in own])
        worst = min(float(row["worst"]) for row in own)
        interval = f"{found.low:.2%} to {found.high:.2%}"
        lines.append([arm, len(own), f"{found.value:.2%}", interval, f"{worst:.2%}"])
    return lines


if __name__ == "__main__":
    main()
