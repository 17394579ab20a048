"""An unfinished meta-training on disk: what it belongs to, and when it may be continued."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gtn_nas.checkpoint import Checkpoint
from gtn_nas.config import PretrainConfig
from gtn_nas.errors import ConfigError, TeacherError
from gtn_nas.files import Place

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


def identity_of(config: PretrainConfig, *parts: object) -> str:
    """Return all that must be equal for a meta-training to be continued, as text.

    Args:
        config: its settings.
        parts: what else it depends on: fingerprints, and numbers that follow from settings.
    """
    settings = config.model_dump(mode="json", exclude=CHANGEABLE)
    return json.dumps([settings, *parts], sort_keys=True)


@dataclass(frozen=True)
class Unfinished:
    """The checkpoint of one meta-training.

    Attributes:
        checkpoint: where it is kept.
        out: where the finished artefact will be.
        identity: all that must be equal for it to be continued, as text.

    Raises:
        ConfigError: ``out`` is a folder or the checkpoint's own place, or its bucket is missing.
    """

    checkpoint: Checkpoint
    out: Place
    identity: str

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
        self.checkpoint.save({"identity": self.identity, **state})

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
        if state.pop("identity", None) != self.identity:
            raise TeacherError(
                f"{place} belongs to other settings or other data; repeat the command it was "
                "started with, and --resume"
            )
        return state


def _whole(place: str) -> str:
    """Return a URI as it is, and a path from the root."""
    return place if "://" in place else str(Path(place).absolute())
