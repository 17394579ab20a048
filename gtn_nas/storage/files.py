"""Files on a disk or in a bucket, written so that readers only ever see complete ones."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

from gtn_nas.errors import EnvironmentFailure, StoreError
from gtn_nas.storage.bucket import BucketPath
from gtn_nas.storage.uri import refuse_secrets

T = TypeVar("T")

Place = Path | BucketPath
"""A file or folder on a disk or in a bucket."""

TEMPORARY = ".tmp"
"""Ending of the name of a file that is still being written."""

SIDE_BY_SIDE = 16
"""Requests to a bucket that run at once. They spend their time on the network, not on a CPU."""


def place_of(text: str | Path) -> Place:
    """Return the file or folder that a path or a URI names.

    Raises:
        ConfigError: the URI is of an unknown kind, or carries credentials.
        StoreError: the object store cannot be reached.
    """
    return BucketPath.of(str(text)) if "://" in str(text) else Path(text)


def uri_or_path(value: object) -> object:
    """Convert text to a path, unless it is a URI; leave any other value unchanged.

    A URI stays text, since ``Path`` would remove one of its two slashes.

    Raises:
        ConfigError: the URI carries credentials.
    """
    if not isinstance(value, str):
        return value
    refuse_secrets(value)
    return value if "://" in value else Path(value)


def names_in(folder: Place) -> list[str]:
    """Return the names in a folder, or an empty list if the folder does not exist."""
    if isinstance(folder, BucketPath):
        return folder.names()
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def remove_tree(folder: Place) -> None:
    """Remove a folder with everything in it; ignore files that cannot be removed."""
    if isinstance(folder, BucketPath):
        with suppress(StoreError):
            folder.remove_tree()
    else:
        shutil.rmtree(folder, ignore_errors=True)


def for_each(places: Iterable[Place], action: Callable[[Place], T]) -> list[T]:
    """Apply an action to many files and return its results in order.

    Files on a disk are taken one by one, files in a bucket several at once.
    """
    listed = list(places)
    if not any(isinstance(place, BucketPath) for place in listed):
        return [action(place) for place in listed]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        return list(pool.map(action, listed))


@contextmanager
def whole_file(path: Place) -> Iterator[BinaryIO]:
    """Open a file for writing that gets its name only once it is complete and on the disk.

    Missing folders are made. If writing fails, an older file of that name stays unchanged.

    Raises:
        EnvironmentFailure: the file cannot be written, e.g. because the disk is full.
    """
    if isinstance(path, BucketPath):
        contents = io.BytesIO()
        yield contents
        path.write_bytes(contents.getbuffer())
        return
    temporary = path.with_name(f".{path.name}{TEMPORARY}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise EnvironmentFailure(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _sync(folder: Path) -> None:
    """Flush a folder's entries to the disk, so that a rename survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
