"""Copies the module of the user's own search space into the export."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path

from gtn_nas.errors import ConfigError
from gtn_nas.spaces.base import SearchSpace
from gtn_nas.spaces.fingerprint import PACKAGE, space_fingerprint

FOLDER = "search_space"


@dataclass(frozen=True)
class OwnSpace:
    """A copied module.

    Attributes:
        copy: path of the copy in the export.
        others: names of the modules of its author that it imports, directly or through others;
            they are not copied.
    """

    copy: str
    others: tuple[str, ...]


def copy_module(space: SearchSpace, folder: Path) -> OwnSpace:
    """Copy the file that defines a search space to ``FOLDER`` in an export.

    Raises:
        ConfigError: there is no such file, or a module that it imports cannot be read.
    """
    cls = type(space)
    try:
        source = Path(inspect.getsourcefile(cls) or "")
        contents = source.read_bytes()
    except (TypeError, OSError) as error:
        raise ConfigError(f"the source file of {cls.__qualname__} cannot be read") from error
    (folder / FOLDER).mkdir()
    (folder / FOLDER / source.name).write_bytes(contents)
    others = {name for name in space_fingerprint(space) if name.partition(".")[0] != PACKAGE}
    return OwnSpace(f"{FOLDER}/{source.name}", tuple(sorted(others - {cls.__module__})))
