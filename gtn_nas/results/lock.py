"""One writer for a run folder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Protocol

from gtn_nas.errors import EnvironmentFailure, RunFolderError
from gtn_nas.files import Place
from gtn_nas.results.layout import LOCK
from gtn_nas.results.lease import Lease


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
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if not isinstance(error, BlockingIOError):
                raise EnvironmentFailure(f"cannot lock {folder}: {error.strerror}") from error
            raise RunFolderError(
                f"another process writes {folder}; wait until it is done"
            ) from error
        self._descriptor: int | None = descriptor

    def hurry(self) -> None:
        """Nothing: a disk answers."""

    def release(self) -> None:
        """Let another writer in."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
