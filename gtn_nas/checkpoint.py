"""Where an unfinished meta-training is kept: a local file, or an object of an object store."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from gtn_nas.errors import ConfigError, EnvironmentFailure, TeacherError
from gtn_nas.files import TEMPORARY, whole_file

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

SECRETS = re.compile(r"\w+://[^/@]*:(?!\d+/)[^@]*@|s3://[^/@]*@|.*[?&]\w*(secret|key)\w*=")
"""How a URI with credentials starts; a password may have slashes in it, as those of S3 do."""


class Checkpoint:
    """One state that replaces the last one, and appears whole or not at all.

    Args:
        place: a path, or a URI that Arrow knows, such as ``s3://bucket/key`` or ``gs://bucket/key``.

    Raises:
        ConfigError: the URI is of an unknown kind, or carries credentials.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self._store: FileSystem | None = None
        self._key = place
        if "://" in place:
            self._store, self._key = _object_store(place)

    def exists(self) -> bool:
        """Tell whether there is a state.

        Raises:
            EnvironmentFailure: the object store cannot be reached.
        """
        if self._store is None:
            return Path(self._key).exists()
        try:
            return bool(self._store.get_file_info(self._key).is_file)
        except OSError as error:
            raise EnvironmentFailure(f"cannot reach {self.place}: {error}") from error

    def save(self, state: dict[str, object]) -> None:
        """Replace the state; an object store shows an object only once it is complete.

        Raises:
            EnvironmentFailure: it cannot be written.
        """
        if self._store is None:
            with whole_file(Path(self._key)) as file:
                torch.save(state, file)
            return
        packed = io.BytesIO()
        torch.save(state, packed)
        try:
            _write(self._store, self._key, packed.getvalue())
        except OSError as error:
            raise EnvironmentFailure(f"cannot write {self.place}: {error}") from error

    def load(self, device: torch.device) -> dict[str, Any]:
        """Return the state, tensors on a device; nothing in it is executed.

        Raises:
            TeacherError: it is damaged, or something else.
            EnvironmentFailure: it cannot be read.
        """
        packed = io.BytesIO(self._read())
        try:
            state: dict[str, Any] = torch.load(packed, map_location=device, weights_only=True)
            return dict(state)
        except Exception as error:  # damaged bytes make torch's reader raise anything at all
            raise TeacherError(
                f"{self.place} is damaged or no checkpoint; delete it and start again"
            ) from error

    def remove(self) -> None:
        """Remove the state, if there is one.

        Raises:
            EnvironmentFailure: it cannot be removed.
        """
        try:
            if self._store is None:
                Path(self._key).unlink(missing_ok=True)
            elif self.exists():
                self._store.delete_file(self._key)
        except OSError as error:
            raise EnvironmentFailure(f"cannot remove {self.place}: {error}") from error

    def _read(self) -> bytes:
        try:
            if self._store is None:
                return Path(self._key).read_bytes()
            with self._store.open_input_stream(self._key) as stream:
                return bytes(stream.read())
        except OSError as error:
            raise EnvironmentFailure(f"cannot read {self.place}: {error}") from error


def _write(store: FileSystem, key: str, content: bytes) -> None:
    """Write an object; a store shows it once it is closed, a shared disk once it is renamed."""
    from pyarrow.fs import LocalFileSystem

    local = isinstance(store, LocalFileSystem)
    written = f"{key}{TEMPORARY}" if local else key
    if local:
        store.create_dir(str(Path(key).parent), recursive=True)
    with store.open_output_stream(written) as stream:
        stream.write(content)
    if local:
        store.move(written, key)


def _object_store(uri: str) -> tuple[FileSystem, str]:
    """Return the store of a URI and the key in it."""
    from pyarrow import ArrowException
    from pyarrow.fs import FileSystem

    if SECRETS.match(uri):
        scheme = uri.partition("://")[0]
        raise ConfigError(
            f"a {scheme}:// URI must not carry credentials; set them in the environment"
        )
    try:
        store, key = FileSystem.from_uri(uri)
    except (ArrowException, OSError, ValueError) as error:
        raise ConfigError(f"{uri} is no place for checkpoints: {error}") from error
    return store, str(key)
