"""Files and folders that a configuration names, known without loading anything heavy."""

from __future__ import annotations

import socket
from pathlib import Path

from gtn_nas.config.data import DataConfig
from gtn_nas.errors import ConfigError


def is_uri(place: object) -> bool:
    """Tell whether a place is in an object store, and so the same for every machine."""
    return "://" in str(place)


def data_folder(config: DataConfig) -> str | None:
    """Return the folder or URI that a data set is named with, as in ``folder:DIR``, if any."""
    _, _, place = config.dataset.partition(":")
    return place if place and not place.startswith("//") else None


def local_inputs(config: DataConfig) -> dict[str, Path]:
    """Return what a configuration reads from this machine's disks, by the setting that names it."""
    found = {"dataset": data_folder(config)}
    for name in ("teacher", "start", "truth", "rank_labels"):
        value = getattr(config, name, None)
        # A teacher's name is none of a file's, unless it looks like one.
        if value is not None and (name != "teacher" or _is_path(str(value))):
            found[name] = str(value)
    return {n: Path(p).expanduser() for n, p in found.items() if p is not None and not is_uri(p)}


def require_inputs(config: DataConfig) -> None:
    """Check that all of it is there, before seconds are spent on loading libraries.

    Raises:
        ConfigError: names the first that is missing, and this machine, since the command may have
            been written on another.
    """
    for name, path in local_inputs(config).items():
        if not path.exists():
            made = "; `gtn-nas pretrain` makes a teacher" if name == "teacher" else ""
            raise ConfigError(
                f"{name}: there is no {str(path)!r} on this machine ({socket.gethostname()}){made}"
            )


def _is_path(teacher: str) -> bool:
    path = Path(teacher)
    return bool(path.suffix) or len(path.parts) > 1
