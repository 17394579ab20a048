"""A table of architectures with their known accuracies, which a ranking is compared with."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gtn_nas.architecture import Architecture
from gtn_nas.errors import ConfigError, GtnNasError
from gtn_nas.spaces.base import SearchSpace

SHOWN = 5
"""Bad rows that a message names; it only counts the others."""


@dataclass(frozen=True)
class KnownAccuracies:
    """Architectures whose accuracies are known.

    Attributes:
        architectures: distinct architectures, in the table's order.
        accuracies: the accuracy of each, 0-1.
        merged: number of rows left out since an earlier row has an equal network.
    """

    architectures: tuple[Architecture, ...]
    accuracies: tuple[float, ...]
    merged: int = 0

    def sample(self, count: int, seed: int) -> KnownAccuracies:
        """Return some of them at random, in random order.

        Args:
            count: how many; all are returned if there are fewer.
            seed: decides which ones, and their order.
        """
        places = list(range(len(self.architectures)))
        random.Random(f"{seed}:truth").shuffle(places)
        chosen = places[:count]
        return KnownAccuracies(
            tuple(self.architectures[i] for i in chosen),
            tuple(self.accuracies[i] for i in chosen),
            self.merged,
        )


def load_known_accuracies(
    path: Path, arch_column: str, column: str, space: SearchSpace
) -> KnownAccuracies:
    """Read a CSV or Parquet file with a column of architectures and one of accuracies.

    Accuracies are fractions. If any of them is above 1, all are per cent. If several rows have
    equal networks, the first one counts.

    Args:
        path: the table.
        arch_column: its column of architectures, as ``SearchSpace.from_string`` reads them.
        column: its column of accuracies.
        space: the search space of the architectures.

    Raises:
        ConfigError: the table cannot be read or lacks a column, or rows hold an architecture that
            is unknown or repeated, or an accuracy out of range; the message names the rows.
    """
    rows = _rows(path, (arch_column, column))
    values = [_number(row[column]) for row in rows]
    top = max((v for v in values if math.isfinite(v)), default=0.0)
    scale, bound = (100.0, 100.0) if top > 1 else (1.0, 1.0)
    bad: list[str] = []
    seen: dict[str, int] = {}
    found: dict[str, tuple[Architecture, float]] = {}
    for number, (row, value) in enumerate(zip(rows, values, strict=True), start=1):
        text = str(row[arch_column])
        if text in seen:
            bad.append(f"row {number} repeats row {seen[text]}")
            continue
        seen[text] = number
        if not 0 <= value <= bound:
            bad.append(f"row {number} has {column} {row[column]!r}, not within 0 to {bound:g}")
            continue
        try:
            architecture = space.from_string(text)
        except GtnNasError as error:
            bad.append(f"row {number}: {error}")
            continue
        found.setdefault(architecture.key, (architecture, value / scale))
    if bad:
        more = f"; and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        raise ConfigError(f"{path}: {'; '.join(bad[:SHOWN])}{more}")
    architectures, accuracies = zip(*found.values(), strict=True) if found else ((), ())
    return KnownAccuracies(architectures, accuracies, len(rows) - len(found))


def _rows(path: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Read some columns of the table, row by row."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    try:
        table = parquet.read_table(path) if path.suffix == ".parquet" else csv.read_csv(path)
    except (OSError, pa.ArrowInvalid) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"cannot read the table {path}: {reason}") from error
    for name in columns:
        if name not in table.column_names:
            raise ConfigError(
                f"{path} has no column {name!r}; it has {', '.join(table.column_names)}"
            )
    rows: list[dict[str, Any]] = table.select(list(columns)).to_pylist()
    return rows


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return math.nan
