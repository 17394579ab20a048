"""Is meta-training stable for any reasonable outer learning rate? With two ablations.

Learning rates are drawn log-uniformly between 0.001 and 0.03, one for each seed and the same for
every arm. Each run takes 150 outer steps. The arms are: the recipe; learners with batch
normalisation instead of weight normalisation (the paper's ablation); and meta-gradients that are
not clipped. The table counts, for each arm, the runs that ended in numbers that are not finite, the
skipped steps, and the runs whose teacher brings ten new learners to 90 % on average.

Run with ``python -m experiments.studies.stability --data-dir DIR [--budget small|full]``; it can be
interrupted and started again.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

import numpy as np
import torch

from experiments.shared.learner_families import TwoConvs, TwoConvsBatchNorm
from experiments.shared.machine import machine
from experiments.shared.mnist import FixedLearner, Options, accuracies, meta_train, options
from experiments.shared.tables import Table, markdown
from gtn_nas.errors import MetaTrainingError
from gtn_nas.pretraining.pretraining import Pretraining

RUNS = {"small": 6, "full": 20}
ITERATIONS = 150
GOAL = 0.9
LEARNERS = 10


@dataclass(frozen=True)
class Arm:
    """One way to meta-train.

    Attributes:
        family: class of the learners, in ``experiments.shared.learner_families``.
        clipped: whether meta-gradients are clipped.
    """

    family: type[TwoConvs]
    clipped: bool = True

    def prepare(self, run: Pretraining) -> None:
        """Turn off the clipping of a meta-training if the arm has none."""
        if not self.clipped:
            run.trainer.config = replace(run.trainer.config, clip_factor=math.inf)


ARMS = {
    "ours": Arm(TwoConvs),
    "without weight normalisation": Arm(TwoConvsBatchNorm),
    "without clipping": Arm(TwoConvs, clipped=False),
}


def learning_rate(seed: int) -> float:
    """Return the outer learning rate of a seed, log-uniform between 0.001 and 0.03."""
    return float(0.001 * 30 ** random.Random(seed).random())


def measure(asked: Options, name: str, seed: int) -> dict[str, object]:
    """Meta-train an arm with a seed, and return its row of the table."""
    arm = ARMS[name]
    config = asked.config(
        f"stability-{name}-{seed}",
        space=f"experiments.shared.learner_families:{arm.family.__name__}",
        learning_rate=learning_rate(seed),
        seed=seed,
        meta_iterations=ITERATIONS,
    )
    run, gave_up = Pretraining(config, resume=None), False
    arm.prepare(run)
    try:
        meta_train(run)
    except MetaTrainingError:
        gave_up = True
    finite = all(bool(torch.isfinite(p).all()) for p in run.trainer.source.parameters())
    dataset, family = asked.dataset(), arm.family()
    architecture = family.architecture({"width_1": 32, "width_2": 64})
    learner = FixedLearner(family, architecture, dataset)
    found = accuracies(run.lesson, learner, dataset, "validation", LEARNERS)
    run.checkpoint.remove()
    return {
        "budget": asked.budget,
        "arm": name,
        "seed": seed,
        "learning_rate": learning_rate(seed),
        "ended_finite": finite and not gave_up,
        "skipped": run.trainer.skipped,
        "validation_accuracy": float(np.mean(found)),
    }


def main() -> None:
    """Measure the arms that are not in the table yet, then print the table."""
    asked = options(__doc__)
    table = Table("stability")
    for seed in range(RUNS[asked.budget]):
        for name in ARMS:
            if not table.has(budget=asked.budget, arm=name, seed=seed):
                table.add(measure(asked, name, seed))
    rows: list[list[object]] = []
    for name in ARMS:
        own = table.where(budget=asked.budget, arm=name)
        reached = np.array([float(r["validation_accuracy"]) for r in own])
        rows.append(
            [
                name,
                len(own),
                sum(r["ended_finite"] != "True" for r in own),
                sum(int(r["skipped"]) for r in own),
                f"{(reached >= GOAL).sum()} of {len(own)}",
                f"{np.median(reached):.1%}",
                f"{reached.min():.1%}",
            ]
        )
    print(f"{machine()}, budget {asked.budget}, {ITERATIONS} outer steps")
    columns = ["arm", "runs", "not finite", "steps skipped", f"reach {GOAL:.0%}", "median", "worst"]
    print(markdown(columns, rows))


if __name__ == "__main__":
    main()
