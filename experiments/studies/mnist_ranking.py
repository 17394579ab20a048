"""Does the default ranking carry over to ``conv_chain`` on MNIST? 60 architectures of three seeds.

Truth is the mean test accuracy of short trainings: three epochs over 10,000 training images, which
is what two cores can pay for. The architectures are random, and none was seen in meta-training.
``python -m experiments.studies.mnist_ranking --data-dir DIR`` trains what is not in
``tables/mnist_truth.csv`` yet (it can be killed and goes on), then writes ``--out``, a table of
means for ``gtn-nas validate-proxy --truth``, which prints how every score ranks them.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import torch

from experiments.shared.common import Table, machine
from experiments.studies.rank_correlation import (
    TRAININGS,
    architectures,
    column,
    spearman,
    train_all,
)
from gtn_nas.data import load_dataset

IMAGES, EPOCHS = 10_000, 3


def write_means(table: Table, path: Path) -> None:
    """Write each architecture with its mean test accuracy."""
    means = column(table, "test_accuracy", TRAININGS).mean(0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["arch", "accuracy"])
        writer.writerows(
            [architecture.to_json(), mean]
            for architecture, mean in zip(architectures(), means, strict=True)
        )


def main() -> None:
    """Train, and write the means."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=Path("data"))
    parser.add_argument("--out", type=Path, default=Path("mnist_truth_means.csv"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    dataset, table = load_dataset("mnist", data_dir=options.data_dir), Table("mnist_truth")
    train_all(table, replace(dataset, train=dataset.train.first(IMAGES)), EPOCHS)
    write_means(table, options.out)
    truths = column(table, "test_accuracy", TRAININGS)
    pairs = [spearman(truths[a], truths[b]) for a, b in combinations(range(TRAININGS), 2)]
    print(machine())
    print(f"{options.out}; single trainings agree with each other at {np.mean(pairs):.2f}")


if __name__ == "__main__":
    main()
