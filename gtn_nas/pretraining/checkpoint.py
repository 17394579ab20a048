"""An unfinished meta-training: where it is kept, what it belongs to, when it may be continued."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gtn_nas.config.pretrain import PretrainConfig
from gtn_nas.errors import ConfigError, EnvironmentFailure, TeacherError
from gtn_nas.spaces.fingerprint import changes
from gtn_nas.storage.bucket import OUTAGE_S, BucketPath
from gtn_nas.storage.files import Place, place_of, whole_file

CHANGEABLE = {
    "out",
    "checkpoint",
    "data_dir",
    "workers",
    "learners_per_step",  # in effect compared, whatever it comes from
    "cpus_per_worker",
    "gpus_per_worker",
    "address",
    "max_hours",
}
"""What a resumed meta-training may change."""


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


def settings_kept(config: PretrainConfig) -> dict[str, object]:
    """Return the settings that must be equal for a meta-training to be continued."""
    return config.model_dump(mode="json", exclude=CHANGEABLE)


@dataclass(frozen=True)
class Unfinished:
    """The checkpoint of one meta-training.

    Attributes:
        checkpoint: where it is kept.
        out: where the finished artefact will be.
        identity: all that must be equal for it to be continued, by name.

    Raises:
        ConfigError: ``out`` is a folder or the checkpoint's own place, or its bucket is missing.
    """

    checkpoint: Checkpoint
    out: Place
    identity: Mapping[str, object]

    def __post_init__(self) -> None:
        if not isinstance(self.out, Path):
            self.out.require_bucket()
        is_folder = isinstance(self.out, Path) and self.out.is_dir()
        if is_folder or _whole(str(self.out)) == _whole(self.checkpoint.place):
            raise ConfigError(
                f"--out {self.out} must be a file to write, and not the checkpoint's, e.g. "
                "teacher.safetensors"
            )

    def save(self, state: dict[str, object]) -> None:
        """Replace what is kept."""
        self.checkpoint.save({"identity": dict(self.identity), **state})

    def load(self, device: torch.device, resume: bool | None) -> dict[str, Any] | None:
        """Return what is kept, or make sure that there is nothing to be overwritten.

        Args:
            device: where the state's tensors go.
            resume: whether there must be something; ``None`` to take it if there is.

        Raises:
            TeacherError: there is something and ``resume`` is not set, or nothing that fits.
        """
        place, exists = self.checkpoint.place, self.checkpoint.exists()
        if resume is None:
            resume = exists
        if not resume:
            if exists:
                raise TeacherError(
                    f"{place} holds an unfinished meta-training; continue it with --resume, "
                    "delete it, or choose another --out"
                )
            if self.out.exists():
                raise TeacherError(
                    f"{self.out} exists already; use it with --teacher, delete it, or choose "
                    "another --out"
                )
            return None
        if not exists:
            raise TeacherError(f"no checkpoint at {place}; start without --resume")
        state = self.checkpoint.load(device)
        before = state.pop("identity", None)
        if not isinstance(before, Mapping):
            raise TeacherError(
                f"{place} was written by an earlier version of gtn-nas, which did not note its "
                "code; finish it with that version, or delete it and start again"
            )
        changed = changes(before, self.identity)
        if changed:
            raise TeacherError(
                f"{place} belongs to other settings, other data or other code: its "
                f"{', '.join(changed)} changed; repeat the command it was started with, and "
                "--resume, or delete it and start again"
            )
        return state


def _whole(place: str) -> str:
    """Return a URI as it is, and a path from the root."""
    return place if "://" in place else str(Path(place).absolute())
