"""A table of architectures with their known accuracies, to check a ranking against."""

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
"""Bad rows that a message names; the others it counts."""


@dataclass(frozen=True)
class Truth:
    """Known accuracies.

    Attributes:
        architectures: distinct ones, in the table's order.
        accuracies: of each (0-1).
        merged: rows left out since an earlier one has an equal network.
    """

    architectures: tuple[Architecture, ...]
    accuracies: tuple[float, ...]
    merged: int = 0

    def sample(self, count: int, seed: int) -> Truth:
        """Draw some of them at random, in random order; all if there are fewer."""
        places = list(range(len(self.architectures)))
        random.Random(f"{seed}:truth").shuffle(places)
        chosen = places[:count]
        return Truth(
            tuple(self.architectures[i] for i in chosen),
            tuple(self.accuracies[i] for i in chosen),
            self.merged,
        )


def load_truth(path: Path, arch_column: str, column: str, space: SearchSpace) -> Truth:
    """Read a CSV or Parquet file with a column of architectures and one of accuracies.

    Accuracies are fractions, or per cent if any of them is above 1. Of rows whose networks are
    equal the first one counts.

    Args:
        path: the table.
        arch_column: architectures, as ``SearchSpace.from_string`` reads them.
        column: accuracies.
        space: that the architectures are of.

    Raises:
        ConfigError: the table cannot be read, lacks a column, or has rows that are unknown, twice
            the same, or out of range; names them.
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
    return Truth(architectures, accuracies, len(rows) - len(found))


def _rows(path: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of some columns."""
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
