"""A lock for a run in a bucket: a file that its owner rewrites regularly, called a lease."""

from __future__ import annotations

import json
import logging
import secrets
import threading
from contextlib import suppress
from datetime import UTC, datetime

from gtn_nas.errors import EnvironmentFailure, RunFolderError, StoreError
from gtn_nas.results.holder import Holder
from gtn_nas.results.layout import LOCK
from gtn_nas.storage.bucket import OUTAGE_S, BucketPath
from gtn_nas.storage.files import TEMPORARY

log = logging.getLogger(__name__)

LIFETIME_S = 30.0
"""Seconds after its last renewal when a lease expires."""

RENEW_S = 10.0
"""Seconds between two renewals."""

WATCH_S = 2.0
"""Seconds between two checks whether another process still renews its lease."""

SETTLE_S = 1.0
"""Seconds to wait after taking a lease, to see if another process took it at the same moment."""


class Lease:
    """Keeps other writers out of a folder in a bucket, since buckets have no locks.

    While the lease is held, a thread renews it, and requests to the bucket are repeated during an
    outage. A lease that was not renewed for ``LIFETIME_S`` expires, and another process may take
    it, so an owner that died blocks others no longer than that. An owner that lost its connection
    for that long checks its lease before it writes again: ``check`` is the fence of the folder's
    connection, which is called before every change of the bucket.

    Args:
        folder: the folder to lock.

    Raises:
        RunFolderError: another process writes the folder.
        StoreError: the bucket does not answer.
    """

    def __init__(self, folder: BucketPath) -> None:
        self._folder, self._file = folder, folder.apart() / LOCK
        self._clock, self._pause = folder.bucket.clock, folder.bucket.pause
        self._owner = secrets.token_hex(8)
        self._one_at_a_time = threading.Lock()
        self._released = threading.Event()
        self._lost = False
        self._take()
        folder.bucket.fence, folder.bucket.waits_s = self.check, OUTAGE_S
        self._thread = threading.Thread(target=self._keep_renewing, daemon=True)
        self._thread.start()

    def renew(self) -> None:
        """Renew the lease, which shows others that this process is alive.

        Raises:
            EnvironmentFailure: another process has taken the lease.
            StoreError: the bucket does not answer.
        """
        with self._one_at_a_time:
            if self._lost or self._owner_of(self._read()) != self._owner:
                self._lost = True
                raise EnvironmentFailure(
                    f"another process has taken over {self._folder}, since this one was out of its "
                    f"reach for more than {LIFETIME_S:g} s; what is stored by now is whole"
                )
            self._write()

    def check(self) -> None:
        """Make sure that this process still owns the lease.

        Raises:
            EnvironmentFailure: another process has taken the lease.
            StoreError: the bucket does not answer.
        """
        if self._lost or self._clock() - self._renewed_at > LIFETIME_S:
            self.renew()

    def hurry(self) -> None:
        """Stop repeating requests to a bucket that does not answer."""
        self._folder.bucket.waits_s = 0.0

    def release(self) -> None:
        """Give up the lease, so that another process can write. Repeated calls have no effect."""
        if self._released.is_set():
            return
        self._released.set()
        self._thread.join()
        self._folder.bucket.fence = lambda: None
        with suppress(StoreError):
            if self._owner_of(self._read()) == self._owner:
                self._file.unlink(missing_ok=True)

    def _take(self) -> None:
        seen = self._read()
        if seen is not None:
            self._outlive(seen)
        self._write()
        self._pause(SETTLE_S)
        if self._owner_of(self._read()) != self._owner:
            raise self._refusal()

    def _outlive(self, seen: bytes) -> None:
        """Wait until another process's lease expires; raise an error if it is renewed."""
        left_s = LIFETIME_S - self._age_s()
        if left_s > 0:
            message = "%s was written a moment ago; waiting up to %.0f s for a sign of its writer"
            log.warning(message, self._folder, left_s)
        while left_s > 0:
            self._pause(min(left_s, WATCH_S))
            left_s -= WATCH_S
            now = self._read()
            if now is None:
                return
            if now != seen:
                raise self._refusal()

    def _age_s(self) -> float:
        """Return the seconds since the lease was renewed.

        Both times come from the object store's clock: a new file is written and its time compared.
        """
        probe = self._folder.apart() / f"{LOCK}-{self._owner}{TEMPORARY}"
        probe.write_bytes(b"")
        try:
            return (probe.modified() - self._file.modified()).total_seconds()
        except FileNotFoundError:  # the owner has just released it
            return LIFETIME_S
        finally:
            probe.unlink(missing_ok=True)

    def _keep_renewing(self) -> None:
        while not self._released.wait(RENEW_S) and not self._lost:
            with suppress(EnvironmentFailure):  # the next write calls ``check``, which raises it
                self.renew()

    def _read(self) -> bytes | None:
        try:
            return self._file.read_bytes()
        except FileNotFoundError:
            return None

    def _write(self) -> None:
        lease, now = {"owner": self._owner, "renewed_at": f"{datetime.now(UTC)}"}, self._clock()
        lease |= json.loads(Holder.this_process().to_json())
        self._file.write_bytes(json.dumps(lease).encode())
        self._renewed_at = now

    def _owner_of(self, lease: bytes | None) -> str | None:
        with suppress(ValueError, TypeError, KeyError):
            return str(json.loads(lease or b"")["owner"])
        return None

    def _refusal(self) -> RunFolderError:
        return RunFolderError(f"another process writes {self._folder}; wait until it is done")


def lease_holder(folder: BucketPath) -> Holder | None:
    """Return the process that holds a folder's lease, or ``None``.

    A reader must not write, so it cannot ask for the object store's time and uses its own clock. If
    the two clocks differ by more than half a minute, the result can be wrong shortly after an owner
    died or started.

    Raises:
        StoreError: the bucket does not answer.
    """
    file = folder / LOCK
    with suppress(FileNotFoundError):
        age_s = (datetime.now(UTC) - file.modified()).total_seconds()
        if age_s < LIFETIME_S:
            return Holder.from_json(file.read_bytes())
    return None
