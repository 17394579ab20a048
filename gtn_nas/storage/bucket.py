"""Files in a bucket of an object store, with the methods of ``pathlib.Path`` that gtn-nas uses."""

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
"""Seconds without an answer that a search or a meta-training waits, once it has begun."""

PAUSE_S = 0.5
"""Seconds before the first retry. Each further pause is twice as long, up to
``LONGEST_PAUSE_S``."""

LONGEST_PAUSE_S = 8.0


class Bucket:
    """A connection to a bucket, which repeats requests while the object store does not answer.

    Args:
        files: Arrow's file system of the object store.
        waits_s: seconds without an answer after which a request fails. The default is 0, so that
            a wrong URI is reported at once.
        clock: returns the time in seconds; only differences count.
        pause: sleeps for the given number of seconds.

    Attributes:
        fence: called before every change of the bucket; raises an error if this process may not
            change it.
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
        """Pickle the connection without its fence, clock and pause: they stay in this process."""
        return type(self), (self.files, self.waits_s)

    def apart(self) -> Bucket:
        """Return another connection to the bucket, without a fence and without waiting."""
        return Bucket(self.files, clock=self.clock, pause=self.pause)

    def ask(self, doing: str, action: Callable[[FileSystem], T], *, changes: bool = False) -> T:
        """Send a request, and repeat it until the object store answers.

        Args:
            doing: start of the error message, such as ``cannot write s3://...``.
            action: sends the request through Arrow's file system; it must be safe to repeat.
            changes: whether the request changes the bucket.

        Returns:
            The result of ``action``.

        Raises:
            FileNotFoundError: the object store answered that the file does not exist.
            StoreError: there was no answer, or only refusals, for ``waits_s`` seconds.
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
        """Note a failed request; raise an error if failures have lasted ``waits_s`` seconds."""
        now = self.clock()
        begins = self._silent_since is None
        self._silent_since = now if self._silent_since is None else self._silent_since
        if now - self._silent_since >= self.waits_s:
            raise StoreError(failure) from error
        if begins:
            log.warning("%s; trying again for up to %.0f s", failure, self.waits_s)


@dataclass(frozen=True)
class BucketPath:
    """A file in a bucket, or a folder, which is a common prefix of file names.

    Attributes:
        bucket: the connection to the bucket.
        key: Arrow's path of the file or folder, which begins with the bucket's name.
        base: the URI without its query.
        query: the URI's query: options of the object store, such as ``endpoint_override=...``.
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
        """Return the path that a URI names, such as ``s3://bucket/key`` or ``gs://bucket/key``.

        Args:
            uri: the URI.
            clock: see ``Bucket``.
            pause: see ``Bucket``.

        Raises:
            ConfigError: the URI is of an unknown kind, names no bucket, or carries credentials.
            StoreError: Amazon did not answer the question in which region the bucket is.
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
        """The folder that contains this file or folder."""
        (key, _, _), (base, _, _) = self.key.rpartition("/"), self.base.rpartition("/")
        return BucketPath(self.bucket, key, base, self.query)

    def apart(self) -> BucketPath:
        """Return the same path with a new connection, without a fence and without waiting."""
        return BucketPath(self.bucket.apart(), self.key, self.base, self.query)

    def exists(self) -> bool:
        """Tell whether there is a file or folder with this path."""
        from pyarrow.fs import FileType

        return bool(self._info().type != FileType.NotFound)

    def is_file(self) -> bool:
        """Tell whether there is a file with this path."""
        return bool(self._info().is_file)

    def modified(self) -> datetime:
        """Return when the file was last written, by the object store's clock.

        Raises:
            FileNotFoundError: the file does not exist.
        """
        moment: datetime | None = self._info().mtime
        if moment is None:
            raise FileNotFoundError(f"there is no {self}")
        return moment

    def names(self, *, everything: bool = False) -> list[str]:
        """Return the names of the files in this folder.

        Args:
            everything: also list the files of all folders below, by their paths relative to this
                folder.
        """
        from pyarrow.fs import FileSelector

        below = FileSelector(self.key, allow_not_found=True, recursive=everything)
        found = self.bucket.ask(f"cannot list {self}", lambda files: files.get_file_info(below))
        return [str(info.path)[len(self.key) + 1 :] for info in found if info.is_file]

    def folders(self) -> list[str]:
        """Return the names of the folders in this folder."""
        from pyarrow.fs import FileSelector, FileType

        inside = FileSelector(self.key, allow_not_found=True)
        found = self.bucket.ask(f"cannot list {self}", lambda files: files.get_file_info(inside))
        return [str(info.base_name) for info in found if info.type == FileType.Directory]

    def read_bytes(self) -> bytes:
        """Return the file's contents.

        Raises:
            FileNotFoundError: the file does not exist.
        """

        def read(files: FileSystem) -> bytes:
            with files.open_input_stream(self.key) as stream:
                return bytes(stream.read())

        return self.bucket.ask(f"cannot read {self}", read)

    def read_text(self, encoding: str) -> str:
        """Return the file's contents as text.

        Raises:
            FileNotFoundError: the file does not exist.
            UnicodeDecodeError: the contents are not text in this encoding.
        """
        return self.read_bytes().decode(encoding)

    def write_bytes(self, contents: bytes | memoryview) -> None:
        """Write the file; readers see it only once it is complete."""
        self.bucket.ask(
            f"cannot write {self}", lambda files: _write(files, self.key, contents), changes=True
        )

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the file.

        Raises:
            FileNotFoundError: the file does not exist, and ``missing_ok`` is not set.
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
        """Check that the bucket exists.

        Raises:
            ConfigError: the bucket does not exist.
        """
        bucket = BucketPath(self.bucket, self.key.partition("/")[0], self.base, self.query)
        if not bucket.exists():
            raise ConfigError(f"there is no bucket {bucket.key!r} for {self}; make it first")

    def _info(self) -> FileInfo:
        return self.bucket.ask(f"cannot reach {self}", lambda files: files.get_file_info(self.key))


def _write(files: FileSystem, key: str, contents: bytes | memoryview) -> None:
    """Write a file so that readers see it only once it is complete.

    An object store shows a file once it is closed. On a shared disk the file is renamed.
    """
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
    """Allow every change: the fence of a bucket that has none."""
