"""Does the proxy rank architectures as full training does? 60 of ``conv_chain`` on digits.

Truth is the mean test accuracy of three full trainings. The architectures are random, and none was
seen in meta-training. Run with ``python -m experiments.rank_correlation``: trainings that are in
``tables/rank_truth.csv`` are not repeated, so it can be killed and goes on (about an hour on one
core from nothing).
"""

from __future__ import annotations

import torch

from experiments.common import Table
from gtn_nas.architecture import Architecture
from gtn_nas.config import SearchConfig
from gtn_nas.data import load_dataset
from gtn_nas.pretraining import sample_architecture
from gtn_nas.spaces import get_space
from gtn_nas.training.final import FinalJob, FinalTask, train_final
from gtn_nas.training.train import FinalConfig
from gtn_nas.trial import derived_seed

ARCHITECTURES = 60
TRAININGS = 3
PROXY_SEEDS = 3
TRUTH = "rank_truth"
SCORES = "rank_scores"


def architectures() -> list[Architecture]:
    """Return distinct random architectures that meta-training holds out."""
    space, found = get_space("conv_chain"), {}
    seed = 0
    while len(found) < ARCHITECTURES:
        seed += 1
        drawn = sample_architecture(space, derived_seed("rank", seed), held_out=True)
        found.setdefault(drawn.key, drawn)
    return list(found.values())


def train_all() -> None:
    """Train every architecture with every seed; one row each."""
    table = Table(TRUTH)
    config = FinalConfig(epochs=SearchConfig().final_epochs)
    task = FinalTask(get_space("conv_chain"), load_dataset("digits"), config)
    for seed in range(TRAININGS):
        for index, architecture in enumerate(architectures()):
            if table.has(key=architecture.key, seed=seed):
                continue
            job = FinalJob(architecture, index, derived_seed("truth", seed, architecture.key))
            outcome = train_final(task, job)
            trained = outcome.trained
            row = {
                "key": architecture.key,
                "seed": seed,
                "status": outcome.status,
                "test_accuracy": trained.test_accuracy if trained else "",
                "validation_accuracy": trained.validation_accuracy if trained else "",
                "train_s": round(trained.train_s, 2) if trained else "",
                "choices": architecture.to_json(),
            }
            table.add(row)
            print(seed, index, row["key"], row["test_accuracy"], row["train_s"], flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    train_all()
