"""Files and folders that a configuration names, found without importing heavy libraries."""

from __future__ import annotations

import socket
from pathlib import Path

from gtn_nas.config.data import DataConfig
from gtn_nas.errors import ConfigError


def is_uri(place: object) -> bool:
    """Tell whether a place is a URI of an object store, which every machine can reach."""
    return "://" in str(place)


def data_folder(config: DataConfig) -> str | None:
    """Return the folder or URI in the data set's name, as in ``folder:DIR``, or ``None``."""
    _, _, place = config.dataset.partition(":")
    return place if place and not place.startswith("//") else None


def local_inputs(config: DataConfig) -> dict[str, Path]:
    """Return the local paths that a configuration reads, by the setting that names each."""
    found = {"dataset": data_folder(config)}
    for name in ("teacher", "start", "truth", "rank_labels"):
        value = getattr(config, name, None)
        # A shipped teacher is given by its name, which is not a path.
        if value is not None and (name != "teacher" or _is_path(str(value))):
            found[name] = str(value)
    return {n: Path(p).expanduser() for n, p in found.items() if p is not None and not is_uri(p)}


def require_inputs(config: DataConfig) -> None:
    """Check that all local inputs exist, before seconds are spent on importing libraries.

    Raises:
        ConfigError: a file or folder is missing. The message names the first one and this machine,
            since the command may have been written for another machine.
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
