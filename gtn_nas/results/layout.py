"""The files and folders in a run folder."""

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
"""All tables; the folder ``latencies`` exists only if the run measured latencies."""


def is_run(folder: Place) -> bool:
    """Tell whether a folder is a run: it has a configuration and a folder of candidates.

    A bucket has no empty folders, so there the configuration is enough.

    Raises:
        StoreError: the bucket does not answer.
    """
    if not (folder / CONFIG).is_file():
        return False
    return not isinstance(folder, Path) or (folder / TABLES[0]).is_dir()


def refuse_used(folder: Place) -> None:
    """Refuse a folder unless a new run can start in it.

    It must be missing or empty, or hold only a lock or temporary files of an interrupted start.

    Raises:
        RunFolderError: the folder holds a run or other files.
        ConfigError: the folder's bucket does not exist.
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
    """Return the path for a table's next part file, whose name sorts after all others.

    The name has a counter instead of a time, since clocks can be set back. Its random ending keeps
    two writers from choosing the same name on a file system without locks.
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
