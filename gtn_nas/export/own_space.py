"""Copies the module of the user's own search space into the export."""

from __future__ import annotations

import ast
import inspect
import sys
import sysconfig
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from gtn_nas.errors import ConfigError
from gtn_nas.spaces.base import SearchSpace

FOLDER = "search_space"


@dataclass(frozen=True)
class OwnSpace:
    """A copied module.

    Attributes:
        copy: path of the copy in the export.
        others: names of the user's other modules that it imports; these are not copied.
    """

    copy: str
    others: tuple[str, ...]


def copy_module(space: SearchSpace, folder: Path) -> OwnSpace:
    """Copy the file that defines a search space to ``FOLDER`` in an export.

    Raises:
        ConfigError: that file cannot be read.
    """
    cls = type(space)
    try:
        source = Path(inspect.getsourcefile(cls) or "")
        contents = source.read_bytes()
    except (TypeError, OSError) as error:
        raise ConfigError(f"the source file of {cls.__qualname__} cannot be read") from error
    (folder / FOLDER).mkdir()
    (folder / FOLDER / source.name).write_bytes(contents)
    return OwnSpace(f"{FOLDER}/{source.name}", tuple(_other_modules(contents)))


def _other_modules(source: bytes) -> list[str]:
    """Return the modules that a source imports and that are the user's own; see ``_is_own``."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if _is_own(alias.name)}
        elif isinstance(node, ast.ImportFrom):
            name = "." * node.level + (node.module or "")
            if node.level or _is_own(name):
                found.add(name)
    return sorted(found)


def _is_own(name: str) -> bool:
    """Tell whether a module belongs to neither Python, gtn_nas nor an installed package."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names or top == "gtn_nas":
        return False
    spec = find_spec(top)
    places = [spec.origin or "", *(spec.submodule_search_locations or [])] if spec else [""]
    installed = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    return not any(place.startswith(installed) for place in places)
