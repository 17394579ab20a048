"""What experiments share: tables that survive a kill, a line about the machine, intervals."""

from __future__ import annotations

import csv
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

TABLES = Path(__file__).parents[1] / "tables"


class Table:
    """A CSV file of results; every row is on the disk when ``add`` returns.

    Args:
        name: file name without ending, in ``experiments/tables``.
    """

    def __init__(self, name: str) -> None:
        self.path = TABLES / f"{name}.csv"
        self.rows: list[dict[str, str]] = []
        if self.path.exists():
            with self.path.open(newline="") as file:
                self.rows = list(csv.DictReader(file))

    def has(self, **values: Any) -> bool:
        """Tell whether a row with these values is there."""
        wanted = {name: str(value) for name, value in values.items()}
        return any(wanted.items() <= row.items() for row in self.rows)

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row; all rows have the columns of the first."""
        self.path.parent.mkdir(exist_ok=True)
        new = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row), lineterminator="\n")
            if new:
                writer.writeheader()
            writer.writerow(row)
            file.flush()
            os.fsync(file.fileno())
        self.rows.append({name: str(value) for name, value in row.items()})


def machine() -> str:
    """Return date, cores, threads and versions, for the caption of a table."""
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {torch.get_num_threads()} threads "
        f"here, torch {torch.__version__}, Python {platform.python_version()}"
    )


def mean_interval(values: np.ndarray) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean over resampled values."""
    return bootstrap(lambda chosen: float(values[chosen].mean()), len(values))


def bootstrap(
    statistic: Callable[[np.ndarray], float], count: int, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % percentile interval of a statistic over resampled indices.

    Args:
        statistic: takes ``(count,)`` indices.
        count: number of items.
        resamples: draws with replacement.
        seed: seed of the draws.
    """
    rng = np.random.default_rng(seed)
    values = [statistic(rng.integers(count, size=count)) for _ in range(resamples)]
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def markdown(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
