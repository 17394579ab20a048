"""The true accuracies of sixty ``conv_chain`` networks on digits: three full trainings of each.

``python -m experiments.tools.digits_truth`` runs the trainings that are not in
``tables/digits_truth.csv`` yet. All of them take about an hour on one core; it can be interrupted
and started again. It then writes ``--out``, a table of mean accuracies for ``gtn-nas validate-proxy
--truth``. ``studies/rank_correlation.py`` reads the single trainings.
"""

from __future__ import annotations

from pathlib import Path

import torch

from experiments.shared.arguments import parser
from experiments.shared.conv_chain_truth import agreement, column, train_all, write_means
from experiments.shared.machine import machine
from experiments.shared.tables import Table
from gtn_nas.config.search import SearchConfig
from gtn_nas.data import load_dataset


def main() -> None:
    """Run the missing trainings, and write the mean accuracies."""
    arguments = parser(__doc__)
    arguments.add_argument("--out", type=Path, default=Path("digits_truth_means.csv"))
    asked = arguments.parse_args()
    torch.set_num_threads(1)
    table = Table("digits_truth")
    train_all(table, load_dataset("digits"), SearchConfig().final_epochs)
    write_means(table, asked.out)
    print(machine())
    apart = agreement(column(table, "test_accuracy"))
    print(f"{asked.out}; single trainings agree with each other at {apart:.2f}")


if __name__ == "__main__":
    main()
