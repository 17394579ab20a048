"""The true accuracies of sixty ``conv_chain`` networks on MNIST: three short trainings of each.

A training has three epochs over only 10,000 training images, so that two cores suffice.
``python -m experiments.tools.mnist_truth --data-dir DIR`` runs the trainings that are not in
``tables/mnist_truth.csv`` yet; it can be interrupted and started again. It then writes ``--out``, a
table of mean accuracies for ``gtn-nas validate-proxy --truth``, which prints how well every score
ranks them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from experiments.shared.arguments import with_data_dir
from experiments.shared.conv_chain_truth import agreement, column, train_all, write_means
from experiments.shared.machine import machine
from experiments.shared.tables import Table
from gtn_nas.data import load_dataset

IMAGES, EPOCHS = 10_000, 3


def main() -> None:
    """Run the missing trainings, and write the mean accuracies."""
    parser = with_data_dir(__doc__)
    parser.add_argument("--out", type=Path, default=Path("mnist_truth_means.csv"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    dataset, table = load_dataset("mnist", data_dir=asked.data_dir), Table("mnist_truth")
    train_all(table, replace(dataset, train=dataset.train.first(IMAGES)), EPOCHS)
    write_means(table, asked.out)
    print(machine())
    apart = agreement(column(table, "test_accuracy"))
    print(f"{asked.out}; single trainings agree with each other at {apart:.2f}")


if __name__ == "__main__":
    main()
