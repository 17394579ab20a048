"""Settings of the resources of one worker, and of the Ray cluster that workers run on."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gtn_nas.config.base import Group, PositiveFloat, setting
from gtn_nas.config.data import DataConfig


class WorkersConfig(DataConfig):
    """Settings of every command that may use Ray; each is described on its field."""

    cpus_per_worker: PositiveFloat = setting(
        1.0, "CPUs of one worker, and so the threads that it computes with.", Group.WORKERS
    )
    gpus_per_worker: Annotated[float, Field(ge=0)] = setting(
        0.0, "GPUs of one worker. With a fraction, several workers share one.", Group.WORKERS
    )
    address: str | None = setting(
        None,
        "Ray cluster to join, as `HOST:PORT`. By default the one that the environment variable "
        "`RAY_ADDRESS` names, or else a private one on this machine.",
        Group.WORKERS,
    )
