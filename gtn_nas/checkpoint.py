"""Where an unfinished meta-training is kept: a local file, or an object of an object store."""

from __future__ import annotations

import io
from typing import Any

import torch

from gtn_nas.bucket import OUTAGE_S, BucketPath
from gtn_nas.errors import EnvironmentFailure, TeacherError
from gtn_nas.files import place_of, whole_file


class Checkpoint:
    """One state that replaces the last one, and appears whole or not at all.

    Args:
        place: a path, or a URI that Arrow knows, such as ``s3://bucket/key`` or ``gs://bucket/key``.

    Raises:
        ConfigError: the URI is of an unknown kind, or carries credentials.
        StoreError: the object store cannot be reached.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self._file = place_of(place)

    def exists(self) -> bool:
        """Tell whether there is a state.

        Raises:
            StoreError: the object store cannot be reached.
        """
        return self._file.exists()

    def save(self, state: dict[str, object]) -> None:
        """Replace the state; an object store shows an object only once it is complete.

        Once it was written, an outage of the store is waited out: hours of work depend on it.

        Raises:
            EnvironmentFailure: it cannot be written.
        """
        with whole_file(self._file) as file:
            torch.save(state, file)
        if isinstance(self._file, BucketPath):
            self._file.bucket.waits_s = OUTAGE_S

    def load(self, device: torch.device) -> dict[str, Any]:
        """Return the state, tensors on a device; nothing in it is executed.

        Raises:
            TeacherError: it is damaged, or something else.
            EnvironmentFailure: it cannot be read.
        """
        try:
            packed = io.BytesIO(self._file.read_bytes())
        except OSError as error:
            raise EnvironmentFailure(f"cannot read {self.place}: {error}") from error
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
            self._file.unlink(missing_ok=True)
        except OSError as error:
            raise EnvironmentFailure(f"cannot remove {self.place}: {error}") from error
