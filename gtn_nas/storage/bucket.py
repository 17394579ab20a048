"""Files in a bucket of an object store, with the few methods of a ``Path`` that are needed here."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from gtn_nas.errors import ConfigError, StoreError
from gtn_nas.storage.uri import opened, reason_of

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo, FileSystem

log = logging.getLogger(__name__)

T = TypeVar("T")

OUTAGE_S = 300.0
"""Seconds without an answer that whoever is in the middle of something waits out."""

PAUSE_S = 0.5
"""Seconds before it asks again, twice as many each time, up to ``LONGEST_PAUSE_S``."""

LONGEST_PAUSE_S = 8.0


class Bucket:
    """A connection to a bucket, and what happens while that does not answer.

    Args:
        files: Arrow's view of the store.
        waits_s: seconds without an answer that are waited out. At first there are none, so that a
            mistake is told at once.
        clock: seconds since any moment; only differences count.
        pause: lets so many seconds pass.

    Attributes:
        fence: called before everything that changes the bucket; raises where this may not.
    """

    def __init__(
        self,
        files: FileSystem,
        waits_s: float = 0.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.files, self.waits_s, self.clock, self.pause = files, waits_s, clock, pause
        self.fence: Callable[[], None] = _unfenced
        self._silent_since: float | None = None

    def __reduce__(self) -> tuple[type[Bucket], tuple[FileSystem, float]]:
        """Travel to another process without what belongs to this one."""
        return type(self), (self.files, self.waits_s)

    def apart(self) -> Bucket:
        """Return another connection to it, which is neither fenced nor waits."""
        return Bucket(self.files, clock=self.clock, pause=self.pause)

    def ask(self, doing: str, action: Callable[[FileSystem], T], *, changes: bool = False) -> T:
        """Do something that can be repeated, until there is an answer.

        Args:
            doing: ``cannot write s3://...``, for messages.
            action: what is done with Arrow's view of the store.
            changes: whether it changes the bucket.

        Raises:
            FileNotFoundError: that is the answer.
            StoreError: there was none for too long, or nothing but a refusal.
        """
        pause_s = PAUSE_S
        while True:
            try:
                if changes:
                    self.fence()
                answer = action(self.files)
            except FileNotFoundError:
                self._silent_since = None
                raise
            except (OSError, StoreError) as error:
                self._bear(f"{doing}: {reason_of(error)}", error)
            else:
                self._silent_since = None
                return answer
            self.pause(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _bear(self, failure: str, error: Exception) -> None:
        """Take note of a failure, or raise it if it lasts too long."""
        now = self.clock()
        begins = self._silent_since is None
        self._silent_since = now if self._silent_since is None else self._silent_since
        if now - self._silent_since >= self.waits_s:
            raise StoreError(failure) from error
        if begins:
            log.warning("%s; trying again for up to %.0f s", failure, self.waits_s)


@dataclass(frozen=True)
class BucketPath:
    """A file in a bucket, or a folder: what the names of files begin with.

    Attributes:
        bucket: the connection.
        key: its name as Arrow knows it, which begins with the bucket's.
        base: its URI without a query.
        query: what the URI says of the store, such as ``endpoint_override=...``.
    """

    bucket: Bucket = field(compare=False, repr=False)
    key: str
    base: str
    query: str = ""

    @classmethod
    def of(
        cls,
        uri: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> BucketPath:
        """Open what a URI names, such as ``s3://bucket/key`` or ``gs://bucket/key``.

        Raises:
            ConfigError: the URI is of an unknown kind, names no bucket, or carries credentials.
            StoreError: Amazon was asked where the bucket is, and did not answer.
        """
        files, key = opened(uri)
        base, _, query = uri.partition("?")
        bucket = Bucket(files, clock=clock, pause=pause)
        return cls(bucket, key, base.rstrip("/"), query)

    def __str__(self) -> str:
        return f"{self.base}?{self.query}" if self.query else self.base

    def __truediv__(self, name: object) -> BucketPath:
        key, base = f"{self.key}/{name}", f"{self.base}/{name}"
        return BucketPath(self.bucket, key, base, self.query)

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition("/")[2]

    @property
    def parent(self) -> BucketPath:
        """What it is in."""
        (key, _, _), (base, _, _) = self.key.rpartition("/"), self.base.rpartition("/")
        return BucketPath(self.bucket, key, base, self.query)

    def apart(self) -> BucketPath:
        """Return the same through a connection that is neither fenced nor waits."""
        return BucketPath(self.bucket.apart(), self.key, self.base, self.query)

    def exists(self) -> bool:
        """Tell whether there is such a file or folder."""
        from pyarrow.fs import FileType

        return bool(self._info().type != FileType.NotFound)

    def is_file(self) -> bool:
        """Tell whether there is such a file."""
        return bool(self._info().is_file)

    def modified(self) -> datetime:
        """Return when the file was last written, by the store's clock.

        Raises:
            FileNotFoundError: there is none.
        """
        moment: datetime | None = self._info().mtime
        if moment is None:
            raise FileNotFoundError(f"there is no {self}")
        return moment

    def names(self, *, everything: bool = False) -> list[str]:
        """Return the names of the files in this folder, or of everything below it."""
        from pyarrow.fs import FileSelector

        below = FileSelector(self.key, allow_not_found=True, recursive=everything)
        found = self.bucket.ask(f"cannot list {self}", lambda files: files.get_file_info(below))
        return [str(info.path)[len(self.key) + 1 :] for info in found if info.is_file]

    def folders(self) -> list[str]:
        """Return the names of the folders in this one."""
        from pyarrow.fs import FileSelector, FileType

        inside = FileSelector(self.key, allow_not_found=True)
        found = self.bucket.ask(f"cannot list {self}", lambda files: files.get_file_info(inside))
        return [str(info.base_name) for info in found if info.type == FileType.Directory]

    def read_bytes(self) -> bytes:
        """Return the file's contents.

        Raises:
            FileNotFoundError: there is none.
        """

        def read(files: FileSystem) -> bytes:
            with files.open_input_stream(self.key) as stream:
                return bytes(stream.read())

        return self.bucket.ask(f"cannot read {self}", read)

    def read_text(self, encoding: str) -> str:
        """Return the file's contents as text.

        Raises:
            FileNotFoundError: there is none.
            UnicodeDecodeError: it is no text.
        """
        return self.read_bytes().decode(encoding)

    def write_bytes(self, contents: bytes | memoryview) -> None:
        """Write the file, which is seen when it is complete."""
        self.bucket.ask(
            f"cannot write {self}", lambda files: _write(files, self.key, contents), changes=True
        )

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the file.

        Raises:
            FileNotFoundError: there is none, and that is not ``missing_ok``.
        """
        try:
            self.bucket.ask(
                f"cannot remove {self}", lambda files: files.delete_file(self.key), changes=True
            )
        except FileNotFoundError:
            if not missing_ok:
                raise

    def remove_tree(self) -> None:
        """Remove everything below this folder, if there is anything."""
        self.bucket.ask(
            f"cannot remove {self}",
            lambda files: files.delete_dir_contents(self.key, missing_dir_ok=True),
            changes=True,
        )

    def require_bucket(self) -> None:
        """Check that the bucket is there.

        Raises:
            ConfigError: it is not.
        """
        bucket = BucketPath(self.bucket, self.key.partition("/")[0], self.base, self.query)
        if not bucket.exists():
            raise ConfigError(f"there is no bucket {bucket.key!r} for {self}; make it first")

    def _info(self) -> FileInfo:
        return self.bucket.ask(f"cannot reach {self}", lambda files: files.get_file_info(self.key))


def _write(files: FileSystem, key: str, contents: bytes | memoryview) -> None:
    """Write a file; a store shows it once it is closed, a shared disk once it is renamed."""
    from pyarrow.fs import LocalFileSystem

    local = isinstance(files, LocalFileSystem)
    written = f"{key}.tmp" if local else key
    if local:
        files.create_dir(key.rpartition("/")[0], recursive=True)
    with files.open_output_stream(written) as stream:
        stream.write(contents)
    if local:
        files.move(written, key)


def _unfenced() -> None:
    """Let everything pass."""
