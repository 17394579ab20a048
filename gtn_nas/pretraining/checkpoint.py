"""Checkpoints of an unfinished meta-training, and the conditions under which it may be resumed."""

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
    "learners_per_step",  # compared by its effective number, which is a part of the identity
    "cpus_per_worker",
    "gpus_per_worker",
    "address",
    "max_hours",
}
"""Settings that a resumed meta-training may change."""


class Checkpoint:
    """A file with the latest state of a meta-training; it is replaced completely or not at all.

    Args:
        place: path of the file, or a URI, such as ``s3://bucket/key`` or ``gs://bucket/key``.

    Raises:
        ConfigError: the URI is of an unknown kind, or carries credentials.
        StoreError: the object store cannot be reached.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self._file = place_of(place)

    def exists(self) -> bool:
        """Tell whether the file exists.

        Raises:
            StoreError: the object store cannot be reached.
        """
        return self._file.exists()

    def save(self, state: dict[str, object]) -> None:
        """Replace the file with a new state.

        After the first save, later requests wait while the object store does not answer, up to
        ``OUTAGE_S`` seconds, since hours of work would be lost.

        Raises:
            EnvironmentFailure: the file cannot be written.
        """
        with whole_file(self._file) as file:
            torch.save(state, file)
        if isinstance(self._file, BucketPath):
            self._file.bucket.waits_s = OUTAGE_S

    def load(self, device: torch.device) -> dict[str, Any]:
        """Return the state with its tensors on a device, without executing code from the file.

        Raises:
            TeacherError: the file is damaged, or is not a checkpoint.
            EnvironmentFailure: the file cannot be read.
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
        """Remove the file, if it exists.

        Raises:
            EnvironmentFailure: the file cannot be removed.
        """
        try:
            self._file.unlink(missing_ok=True)
        except OSError as error:
            raise EnvironmentFailure(f"cannot remove {self.place}: {error}") from error


def settings_kept(config: PretrainConfig) -> dict[str, object]:
    """Return the settings that must stay equal when a meta-training is resumed."""
    return config.model_dump(mode="json", exclude=CHANGEABLE)


@dataclass(frozen=True)
class Unfinished:
    """An unfinished meta-training.

    Attributes:
        checkpoint: file with its state.
        out: file to which the finished teacher will be written.
        identity: everything that must stay equal on a resume; by name.

    Raises:
        ConfigError: ``out`` is a folder or the checkpoint's own file, or its bucket does not exist.
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
        """Replace the checkpoint with a new state."""
        self.checkpoint.save({"identity": dict(self.identity), **state})

    def load(self, device: torch.device, resume: bool | None) -> dict[str, Any] | None:
        """Return the state of the checkpoint, or ``None`` for a new meta-training.

        Args:
            device: device of the state's tensors.
            resume: whether to resume from the checkpoint; ``None`` to do so if there is one.

        Raises:
            TeacherError: with ``resume``, there is no checkpoint or it belongs to another
                meta-training. Without it, the checkpoint or the file ``out`` exists and would be
                overwritten.
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
    """Return a URI as it is, and a path as an absolute path."""
    return place if "://" in place else str(Path(place).absolute())
