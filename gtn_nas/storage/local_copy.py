"""Local copies of files in a bucket, for libraries that read files from a disk only."""

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
    """Yield a path on this machine for the file or folder that a path or a URI names.

    A path is yielded as it is, with ``~`` expanded. A file or folder in a bucket is copied, and
    the copy is removed afterwards.

    Raises:
        ConfigError: the URI is wrong, or there is nothing at it.
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
    """Copy a file or folder from a bucket, for as long as this process runs.

    Returns:
        The path of the copy.

    Raises:
        ConfigError: the URI is wrong, or there is nothing at it.
        StoreError: the bucket does not answer.
    """
    folder = tempfile.TemporaryDirectory(prefix="gtn-nas-")
    atexit.register(folder.cleanup)
    found = place_of(uri)
    return found if isinstance(found, Path) else _copied(found, Path(folder.name))


def _copied(source: BucketPath, folder: Path) -> Path:
    """Copy a file, or all files of a folder, into ``folder``; return the copy's path."""
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
    """Tell whether a file of this name would be copied inside the target folder.

    A bucket allows any name, also one such as ``../x`` that leads out of the folder.
    """
    return not {"", ".", ".."}.intersection(name.split("/"))
