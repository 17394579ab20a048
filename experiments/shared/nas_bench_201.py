"""NAS-Bench-201 as truth: distinct cells, their two parts, and the scores computed of them.

``tools/nas_bench_201_scores.py`` fills the table of scores, the studies named ``nas_bench_201_*``
read it.
"""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from experiments.shared.arguments import parser
from experiments.shared.tables import TABLES
from gtn_nas.ranking.columns import lower_ranks_first
from gtn_nas.ranking.score import Score
from gtn_nas.spaces.nas_bench_201 import NasBench201

SCORES = TABLES / "nas_bench_201_scores.parquet"
TRUTH = "cifar10_test_accuracy_200_epochs"
VALIDATION = "cifar10_validation_accuracy_200_epochs"
TUNE_SHARE = 30
"""Per cent of the cells that every choice is made on; the others are read once per table."""

Values = NDArray[np.float64]


def data_argument(description: str | None) -> argparse.ArgumentParser:
    """Return a parser that asks where the table of truth is."""
    asked = parser(description)
    asked.add_argument(
        "--truth", type=Path, required=True, help="cells_dev.csv, or a table with its columns"
    )
    return asked


def is_tune(key: str) -> bool:
    """Tell by a hash whether a cell is one that choices are made on."""
    return int(hashlib.sha256(f"part {key}".encode()).hexdigest(), 16) % 100 < TUNE_SHARE


def distinct_cells(path: Path) -> pd.DataFrame:
    """Return one row for each distinct cell, indexed by its key: the first of its strings.

    Args:
        path: NAS-Bench-201's accuracies, in per cent, by ``arch``.
    """
    table, space = pd.read_csv(path), NasBench201()
    table["key"] = [space.from_string(arch).key for arch in table["arch"]]
    first = table.drop_duplicates("key").set_index("key")
    first["tune"] = [is_tune(key) for key in first.index]
    return first


@dataclass(frozen=True)
class Cells:
    """Cells with truth and scores.

    Attributes:
        frame: columns of both, one row for each cell.
    """

    frame: pd.DataFrame

    @classmethod
    def load(cls, path: Path) -> Cells:
        """Join the truth with the table of scores."""
        return cls(distinct_cells(path).join(pd.read_parquet(SCORES), how="inner"))

    @property
    def tune(self) -> Cells:
        """Those that choices are made on."""
        return Cells(self.frame[self.frame["tune"]])

    @property
    def report(self) -> Cells:
        """The others."""
        return Cells(self.frame[~self.frame["tune"]])

    def truth(self, column: str = TRUTH) -> Values:
        """Return accuracies in per cent, ``(n,)``."""
        return self.frame[column].to_numpy(dtype=float)

    def score(self, name: str) -> Values:
        """Return a score, higher is better, ``(n,)``.

        Args:
            name: a column; one ending in ``?`` is the mean over seeds; several joined by ``+`` or
                ``*`` rank together as candidates do (``gtn_nas.ranking.score``).
        """
        score = Score.parse(name)
        if len(score.columns) > 1:
            losses = [(-self.score(column)).tolist() for column in score.columns]
            return -np.array(score.ranks_by_losses(losses))
        if name.endswith("?"):
            chosen = fnmatch.filter(self.frame.columns, name)
            values = self.frame[chosen].to_numpy(dtype=float).mean(axis=1)
        else:
            values = self.frame[name].to_numpy(dtype=float)
        signed = -values if lower_ranks_first(column_of(name)) else values
        return np.where(np.isfinite(signed), signed, -np.inf)


def column_of(name: str) -> str:
    """Return a score's column without the seed that it was computed with: ``proxy_loss@1``."""
    return name.split("@")[0]


def one_hot(arches: Sequence[str]) -> Values:
    """Return the operations of cells' six edges, one column each for the five operations."""
    space = NasBench201()
    chosen = [space.from_string(arch).choices for arch in arches]
    columns = [[c[n] == o for c in chosen] for n, options in space.choices.items() for o in options]
    return np.array(columns, dtype=float).T
