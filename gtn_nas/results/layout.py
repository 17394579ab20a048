"""Where things are in a run folder."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

CONFIG = "config.yaml"
LOCK = ".lock"
WEIGHTS = "weights"
TABLES = ("candidates", "finals", "events", "latencies")
"""All tables; only a run that measured latencies has a folder of them."""


def is_run(folder: Path) -> bool:
    """Tell whether a folder is a run: it has a configuration and a place for candidates."""
    return (folder / CONFIG).is_file() and (folder / TABLES[0]).is_dir()


def part_files(folder: Path, table: str) -> list[Path]:
    """Return the Parquet parts of a table in the order in which they were written."""
    return [folder / table / name for name in _part_names(folder / table)]


def next_part(folder: Path, table: str) -> Path:
    """Return a name that sorts behind all parts of a table.

    A number orders the names, since clocks can be set back; the random ending keeps two writers
    apart where a file system has no locks.
    """
    numbers = (name.split("-")[1] for name in _part_names(folder / table))
    number = max((int(n) + 1 for n in numbers if n.isdecimal()), default=0)
    return folder / table / f"part-{number:08d}-{secrets.token_hex(4)}.parquet"


def _part_names(folder: Path) -> list[str]:
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted(n for n in names if n.startswith("part-") and n.endswith(".parquet"))
