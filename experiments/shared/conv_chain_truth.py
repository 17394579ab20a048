"""Sixty architectures of ``conv_chain``, and their accuracies after full trainings.

The architectures are random and held out from meta-training. Every one is trained three times. Its
mean test accuracy is the truth, with which scores are compared.
"""

from __future__ import annotations

import csv
from itertools import combinations
from pathlib import Path

import numpy as np

from experiments.shared.tables import Table
from gtn_nas.architecture import Architecture
from gtn_nas.data.base import ImageDataset
from gtn_nas.pretraining.learners import sample_architecture
from gtn_nas.ranking.statistics import spearman
from gtn_nas.spaces import get_space
from gtn_nas.training.final import FinalJob, FinalTask, train_final
from gtn_nas.training.train import FinalConfig
from gtn_nas.trial import derived_seed

ARCHITECTURES = 60
TRAININGS = 3


def architectures() -> list[Architecture]:
    """Return distinct random architectures that are held out from meta-training."""
    space, seed = get_space("conv_chain"), 0
    found: dict[str, Architecture] = {}
    while len(found) < ARCHITECTURES:
        seed += 1
        drawn = sample_architecture(space, derived_seed("rank", seed), held_out=True)
        found.setdefault(drawn.key, drawn)
    return list(found.values())


def train_all(table: Table, dataset: ImageDataset, epochs: int) -> None:
    """Train every architecture with every seed, and add a row for each training.

    Trainings that are already in the table are skipped.
    """
    task = FinalTask(get_space("conv_chain"), dataset, FinalConfig(epochs=epochs))
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


def column(table: Table, name: str, seeds: int = TRAININGS) -> np.ndarray:
    """Return a column of a table as an array ``(seeds, n)``, in the order of ``architectures``."""
    values = {(row["key"], int(row["seed"])): float(row[name]) for row in table.rows}
    keys = [architecture.key for architecture in architectures()]
    return np.array([[values[key, seed] for key in keys] for seed in range(seeds)])


def write_means(table: Table, path: Path) -> None:
    """Write each architecture with its mean test accuracy, for ``validate-proxy --truth``."""
    means = column(table, "test_accuracy").mean(0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["arch", "accuracy"])
        writer.writerows(
            [architecture.to_json(), mean]
            for architecture, mean in zip(architectures(), means, strict=True)
        )


def agreement(truths: np.ndarray) -> float:
    """Return the mean Spearman correlation of all pairs of trainings.

    Args:
        truths: test accuracies, ``(trainings, n)``.
    """
    pairs = combinations(range(len(truths)), 2)
    return float(np.mean([spearman(truths[a], truths[b]) for a, b in pairs]))
