"""One writer for a run folder."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from gtn_nas.errors import EnvironmentFailure, RunFolderError
from gtn_nas.results.holder import Holder
from gtn_nas.results.layout import LOCK
from gtn_nas.results.lease import Lease, lease_holder
from gtn_nas.storage.files import Place

TRIES, PAUSE_S = 5, 0.02
"""How often, and after how many seconds each, a lock is tried that a reader only looks at."""


class Lock(Protocol):
    """Keeps other writers out of a run folder."""

    def hurry(self) -> None:
        """From now on, do not wait for a folder that does not answer."""

    def release(self) -> None:
        """Let another writer in; harmless when repeated."""


def locked(folder: Place) -> Lock:
    """Take a folder's lock.

    Raises:
        RunFolderError: another process writes it.
        EnvironmentFailure: it cannot be locked.
    """
    return FileLock(folder) if isinstance(folder, Path) else Lease(folder)


def holder_of(folder: Place) -> Holder | None:
    """Return who writes a folder now, if anyone does; nobody is kept from it by the look.

    Raises:
        StoreError: it is in a bucket that does not answer.
    """
    if not isinstance(folder, Path):
        return lease_holder(folder)
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return Holder.from_json(os.read(descriptor, 4096))
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None


class FileLock:
    """A lock of the operating system, which ends with its owner, however that dies.

    Args:
        folder: what is locked.
    """

    def __init__(self, folder: Path) -> None:
        try:
            descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise EnvironmentFailure(f"cannot write in {folder}: {error.strerror}") from error
        try:
            _lock(descriptor)
        except OSError as error:
            os.close(descriptor)
            if not isinstance(error, BlockingIOError):
                raise EnvironmentFailure(f"cannot lock {folder}: {error.strerror}") from error
            raise RunFolderError(
                f"another process writes {folder}; wait until it is done"
            ) from error
        self._descriptor: int | None = descriptor
        with suppress(OSError):  # a disk that is full is told by whoever writes what counts
            os.ftruncate(descriptor, 0)
            os.write(descriptor, Holder.this_process().to_json())

    def hurry(self) -> None:
        """Nothing: a disk answers."""

    def release(self) -> None:
        """Let another writer in."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _lock(descriptor: int) -> None:
    """Take a lock, also when someone looks at it just now."""
    for _ in range(TRIES - 1):
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(PAUSE_S)
    return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
