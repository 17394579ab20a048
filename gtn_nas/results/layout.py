"""Where things are in a run folder."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from pathlib import Path

from gtn_nas.errors import RunFolderError
from gtn_nas.storage.files import TEMPORARY, Place, names_in

CONFIG = "config.yaml"
LOCK = ".lock"
WEIGHTS = "weights"
TABLES = ("candidates", "finals", "events", "latencies")
"""All tables; only a run that measured latencies has a folder of them."""


def is_run(folder: Place) -> bool:
    """Tell whether a folder is a run: it has a configuration and a place for candidates.

    A bucket knows no empty folders, so there the configuration suffices.

    Raises:
        StoreError: the bucket does not answer.
    """
    if not (folder / CONFIG).is_file():
        return False
    return not isinstance(folder, Path) or (folder / TABLES[0]).is_dir()


def refuse_used(folder: Place) -> None:
    """Refuse a folder unless it is new or empty, or was left by a start that did not get far.

    Raises:
        RunFolderError: it holds a run or anything else.
        ConfigError: the bucket that it would be in is missing.
        StoreError: the bucket does not answer.
    """
    if is_run(folder):
        raise RunFolderError(
            f"{folder} holds a run already; continue it with --resume or choose another --out"
        )
    if isinstance(folder, Path):
        is_other = folder.exists() and not folder.is_dir()
    else:
        folder.require_bucket()
        is_other = folder.is_file()
    if is_other:
        raise RunFolderError(f"{folder} is not a folder; choose another --out")
    for name in _everything_in(folder):
        if name != LOCK and not name.endswith(TEMPORARY):
            raise RunFolderError(
                f"{folder} is neither empty nor a run (it holds {name}); choose another --out"
            )


def part_files(folder: Place, table: str) -> list[Place]:
    """Return the Parquet parts of a table in the order in which they were written."""
    return [folder / table / name for name in _part_names(folder / table)]


def next_part(folder: Place, table: str) -> Place:
    """Return a name that sorts behind all parts of a table.

    A number orders the names, since clocks can be set back; the random ending keeps two writers
    apart where a file system has no locks.
    """
    numbers = (name.split("-")[1] for name in _part_names(folder / table))
    number = max((int(n) + 1 for n in numbers if n.isdecimal()), default=0)
    return folder / table / f"part-{number:08d}-{secrets.token_hex(4)}.parquet"


def _everything_in(folder: Place) -> Iterable[str]:
    """Return the names of all files below a folder."""
    if isinstance(folder, Path):
        return (path.name for path in folder.rglob("*") if not path.is_dir())
    return folder.names(everything=True)


def _part_names(folder: Place) -> list[str]:
    names = names_in(folder)
    return sorted(n for n in names if n.startswith("part-") and n.endswith(".parquet"))
