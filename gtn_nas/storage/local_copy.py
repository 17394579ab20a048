"""Copies on this machine of what a bucket holds, for libraries that read a disk's files."""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from gtn_nas.errors import ConfigError
from gtn_nas.storage.bucket import BucketPath
from gtn_nas.storage.files import Place, for_each, place_of


@contextmanager
def local_copy(place: str) -> Iterator[Path]:
    """Yield where the files of a path or a URI are on this machine.

    A path is itself. A bucket's file or folder is copied, and the copy is removed afterwards.

    Raises:
        ConfigError: the URI is wrong, or there is nothing.
        StoreError: the bucket does not answer.
    """
    found = place_of(place)
    if isinstance(found, Path):
        yield found.expanduser()
        return
    with tempfile.TemporaryDirectory(prefix="gtn-nas-") as folder:
        yield _copied(found, Path(folder))


@cache
def kept_copy(uri: str) -> Path:
    """Return a copy of a bucket's file or folder that lasts as long as this process.

    Raises:
        ConfigError: the URI is wrong, or there is nothing.
        StoreError: the bucket does not answer.
    """
    folder = tempfile.TemporaryDirectory(prefix="gtn-nas-")
    atexit.register(folder.cleanup)
    found = place_of(uri)
    return found if isinstance(found, Path) else _copied(found, Path(folder.name))


def _copied(source: BucketPath, folder: Path) -> Path:
    """Copy a file or all files of a folder; return where that is now."""
    target = folder / source.name
    if source.is_file():
        target.write_bytes(source.read_bytes())
        return target
    copies: dict[Place, Path] = {
        source / name: target / name for name in source.names(everything=True) if is_plain(name)
    }
    if not copies:
        raise ConfigError(f"there is nothing at {source}")

    def fetch(file: Place) -> None:
        copies[file].parent.mkdir(parents=True, exist_ok=True)
        copies[file].write_bytes(file.read_bytes())

    for_each(copies, fetch)
    return target


def is_plain(name: str) -> bool:
    """Tell whether a name, of which a bucket takes any, stays in the folder it is copied to."""
    return not {"", ".", ".."}.intersection(name.split("/"))
