"""Tables of results in CSV files, and printing them as Markdown."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gtn_nas.ranking.statistics import Interval

TABLES = Path(__file__).parents[1] / "tables"


class Table:
    """A CSV file of results; every row is on the disk when ``add`` returns.

    Args:
        name: file name without its extension: the name of the script that fills the table, with
            ``bench_`` before it for a script of ``experiments/bench``.
        folder: the folder of the file.
    """

    def __init__(self, name: str, folder: Path = TABLES) -> None:
        self.path = folder / f"{name}.csv"
        self.rows: list[dict[str, str]] = []
        if self.path.exists():
            with self.path.open(newline="") as file:
                self.rows = list(csv.DictReader(file))

    def has(self, **values: object) -> bool:
        """Tell whether the table has a row with these values."""
        return bool(self.where(**values))

    def where(self, **values: object) -> list[dict[str, str]]:
        """Return the rows with these values."""
        wanted = _as_text(values)
        return [row for row in self.rows if wanted.items() <= row.items()]

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row; it must have the same columns as the first row."""
        new = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row), lineterminator="\n")
            if new:
                writer.writeheader()
            writer.writerow(row)
            file.flush()
            os.fsync(file.fileno())
        self.rows.append(_as_text(row))

    def replace(self, rows: Iterable[Mapping[str, Any]], **values: object) -> None:
        """Replace all rows that have these values, e.g. when a measurement was repeated.

        Args:
            rows: the new rows.
            values: the values, by column, that the replaced rows have.
        """
        old = self.where(**values)
        self.rows = [row for row in self.rows if row not in old]
        self.rows += [_as_text(row) for row in rows]
        whole = self.path.with_suffix(".new")
        with whole.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(self.rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
        whole.replace(self.path)


def _as_text(row: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in row.items()}


def markdown(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def with_ends(found: Interval, form: str = ".3f") -> str:
    """Return a value and the ends of its interval as text, e.g. ``0.871 (0.855 to 0.885)``."""
    return f"{found.value:{form}} ({found.low:{form}} to {found.high:{form}})"
