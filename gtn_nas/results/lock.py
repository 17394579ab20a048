"""Locks that allow only one process at a time to write a run folder."""

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
"""How often to try to take a lock, and the seconds between tries.

``holder_of`` in another process takes the lock for a moment, so a single try could fail by chance.
"""


class Lock(Protocol):
    """Keeps other writers out of a run folder."""

    def hurry(self) -> None:
        """Stop waiting for a folder that does not answer."""

    def release(self) -> None:
        """Release the lock, so that another process can write. Repeated calls have no effect."""


def locked(folder: Place) -> Lock:
    """Lock a folder.

    Raises:
        RunFolderError: another process writes the folder.
        EnvironmentFailure: the folder cannot be locked.
    """
    return FileLock(folder) if isinstance(folder, Path) else Lease(folder)


def holder_of(folder: Place) -> Holder | None:
    """Return the process that writes a folder now, or ``None``.

    The check does not keep a writer from locking the folder.

    Raises:
        StoreError: the folder is in a bucket that does not answer.
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
    """A file lock; the operating system releases it when its owner ends, even by a crash.

    Args:
        folder: the folder to lock.

    Raises:
        RunFolderError: another process writes the folder.
        EnvironmentFailure: the folder cannot be locked.
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
        with suppress(OSError):  # if the disk is full, the first write of results says so
            os.ftruncate(descriptor, 0)
            os.write(descriptor, Holder.this_process().to_json())

    def hurry(self) -> None:
        """Do nothing: a disk always answers."""

    def release(self) -> None:
        """Release the lock, so that another process can write. Repeated calls have no effect."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _lock(descriptor: int) -> None:
    """Take a lock, trying again while a reader holds it for a moment in ``holder_of``."""
    for _ in range(TRIES - 1):
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(PAUSE_S)
    return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
