"""Fingerprints of code: they tell whether two scores were computed by the same code.

A fingerprint of some modules has a hash for each of them and for each module that they import,
directly or through others, also inside functions. Only modules of the user's own and of this
package count. Imports are read from the source; nothing is executed. Comments, docstrings and
layout do not count. Python's own modules, installed packages, data files, and modules that are
imported by a name made at run time are not seen.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
import sysconfig
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from gtn_nas.errors import ConfigError
from gtn_nas.spaces.base import SearchSpace

Fingerprint = dict[str, str]
"""Hashes of code, 16 hex digits each, by module name."""

PACKAGE = __name__.partition(".")[0]
ROOMS = frozenset({"architecture", "pretraining", "spaces", "teacher", "trial"})
"""Parts of this package into which imports are followed; no other part builds or trains a network.

Imports are not followed into ``proxies``: the modules of a run's proxies are given to
``code_fingerprint`` by name. The ``__init__`` of a folder counts only if a name is imported from
it, since it only lists what the folder has.
"""
PYTHON = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
"""Folders of Python's own modules."""
UNWRITTEN = frozenset({"ctx", "kind", "type_comment"})
"""Fields of a syntax tree that follow from other fields or have no meaning."""


def space_fingerprint(space: SearchSpace) -> Fingerprint:
    """Return the fingerprint of all code that builds the networks of a search space.

    It covers the module of the space's class, the modules of its base classes, and the modules
    that these import.

    Raises:
        ConfigError: the class has no source file, for example because it was typed into an
            interactive session, or an imported module cannot be read.
    """
    cls = type(space)
    home = _find(cls.__module__)
    if home is None or home.file is None or not home.file.is_file():
        raise ConfigError(
            f"the source file of {cls.__module__}:{cls.__qualname__} cannot be read; "
            "define the search space in a file"
        )
    top = home.name.partition(".")[0]

    def counts(module: _Module) -> bool:
        return _is_followed(module) or (top != PACKAGE and module.top == top)

    parents = (_find(c.__module__) for c in cls.__mro__)
    return _fingerprint([home, *(m for m in parents if m is not None and counts(m))], counts)


def code_fingerprint(modules: Iterable[str]) -> Fingerprint:
    """Return the fingerprint of some modules of this package and of the modules they import.

    Args:
        modules: full names of the modules; they count even outside ``ROOMS``.

    Raises:
        ConfigError: a module is not found or cannot be read.
    """
    found = {name: _find(name) for name in modules}
    for name, module in found.items():
        if module is None:
            raise ConfigError(f"there is no module {name}, which scores depend on")
    return _fingerprint([m for m in found.values() if m is not None], _is_followed)


def changed_modules(noted: object, space: SearchSpace) -> list[str]:
    """Return the modules of a search space that have changed since a run noted its fingerprint.

    Args:
        noted: the fingerprint that the run noted. Earlier versions noted another kind of value or
            none; changes since then cannot be known, and an empty list is returned.
        space: the search space as it is now.

    Raises:
        ConfigError: see ``space_fingerprint``.
    """
    return _differing(noted, space_fingerprint(space)) if isinstance(noted, Mapping) else []


def changes(noted: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the names of the entries that differ.

    The name of an entry that is itself a mapping, such as a fingerprint, is followed by its
    differing names in brackets.

    Args:
        noted: everything that scores depended on, by name; entries that are not in ``now`` are
            ignored.
        now: everything that scores depend on now, by name.
    """
    names = []
    for name in _differing({n: noted.get(n) for n in now}, now):
        old, new = noted.get(name), now[name]
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            name = f"{name} ({', '.join(_differing(old, new))})"
        names.append(name)
    return names


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))


@dataclass(frozen=True)
class _Module:
    """A module that Python would import.

    Attributes:
        name: its full name.
        package: name of the package that its relative imports start from.
        file: its file, if it has one.
        folders: folders of its submodules, if it is a package.
    """

    name: str
    package: str
    file: Path | None
    folders: tuple[str, ...]

    @property
    def top(self) -> str:
        """First part of its name: the outermost package, or the module's own name."""
        return self.name.partition(".")[0]


def _find(name: str) -> _Module | None:
    """Find a module as Python would, without importing it or its parent packages."""
    loaded = sys.modules.get(name)
    parent, _, _ = name.rpartition(".")
    if loaded is not None:
        noted = getattr(loaded, "__dict__", {})  # odd modules, as torch.ops, make up all others
        file, folders = noted.get("__file__"), noted.get("__path__")
        package = noted.get("__package__") or ""
    else:
        if parent:
            within = _find(parent)
            spec = PathFinder.find_spec(name, within.folders) if within else None
        else:
            spec = importlib.util.find_spec(name)
        if spec is None:
            return None
        file, folders = spec.origin if spec.has_location else None, spec.submodule_search_locations
        package = parent if folders is None else name
    module = _Module(name, package, Path(file) if file else None, tuple(folders or ()))
    return module if module.file or module.folders else None


def _is_followed(module: _Module) -> bool:
    """Tell whether a module is the user's own, or in one of the ``ROOMS`` of this package."""
    if module.top == PACKAGE:
        return module.name.partition(".")[2].partition(".")[0] in ROOMS
    place = module.file or Path(module.folders[0])
    depth = module.name.count(".") + (place.name == "__init__.py")
    root = place.parents[min(depth, len(place.parents) - 1)]
    return not (
        {"site-packages", "dist-packages"}.intersection(place.parts)
        or any(map(place.is_relative_to, PYTHON))
        or any(root.glob("*.dist-info"))  # an installer was told to use this folder
    )


def _fingerprint(start: Iterable[_Module], counts: Callable[[_Module], bool]) -> Fingerprint:
    """Return the hashes of the given modules and of all imported modules that count."""
    hashes: Fingerprint = {}
    waiting, seen = list(start), set[str]()
    while waiting:
        module = waiting.pop()
        if module.name in seen:
            continue
        seen.add(module.name)
        # Python runs a package before its modules. This package's own `__init__` files do nothing.
        imported = {"" if module.top == PACKAGE else module.name.rpartition(".")[0]}
        if module.file is not None and module.file.suffix == ".py":
            tree = _parsed(module.file)
            hashes[module.name] = _hash(tree)
            imported.update(_imported(tree, module.package))
        elif module.file is not None:
            hashes[module.name] = hashlib.sha256(_read(module.file)).hexdigest()[:16]
        found = map(_find, filter(None, imported))
        waiting += [m for m in found if m is not None and counts(m)]
    return dict(sorted(hashes.items()))


def _imported(tree: ast.AST, package: str) -> Iterator[str]:
    """Yield the full names of all modules that import statements name, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                try:
                    base = importlib.util.resolve_name("." * node.level + base, package)
                except ImportError:  # Python would not find it either
                    continue
            names = [f"{base}.{alias.name}" for alias in node.names]
            modules = [name for name in names if _find(name)]
            yield from modules
            if len(modules) < len(names):
                yield base


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {file}, which scores depend on: {error}") from error


def _parsed(file: Path) -> ast.AST:
    source = _read(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes: Python warns of them at the import
            return ast.parse(source, str(file))
    except (SyntaxError, ValueError) as error:
        where = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        what = error.msg if isinstance(error, SyntaxError) else error
        raise ConfigError(
            f"{file}{where}: {what}; the search space may import it, so correct it"
        ) from error


def _hash(tree: ast.AST) -> str:
    """Return 16 hex digits of a hash of the code, without docstrings and comments.

    ``ast.dump`` and ``ast.unparse`` write the same code differently in different versions of
    Python: newer versions add empty fields and choose other quotes. The text that is hashed here
    is the same in all versions, so that a run can be resumed under another one.
    """
    digest = hashlib.sha256()
    waiting: list[object] = [tree]  # no recursion: long sums nest deeper than Python's stack
    while waiting:
        item = waiting.pop()
        if isinstance(item, bytes):  # already encoded
            digest.update(item)
        elif isinstance(item, list):
            digest.update(b"[")
            waiting += [b"]", *reversed([part for part in item if not _is_prose(part)])]
        elif isinstance(item, ast.Constant):
            digest.update(f"({item.value!a})".encode())
        elif isinstance(item, ast.JoinedStr):
            # Python 3.12 adds an empty string to the end of a nested format specification.
            parts = [part for part in item.values if getattr(part, "value", None) != ""]
            waiting += [parts, b"f"]
        elif isinstance(item, ast.AST):
            digest.update(f"({type(item).__name__}".encode())
            waiting.append(b")")
            for name, value in reversed(list(ast.iter_fields(item))):
                if name not in UNWRITTEN and value is not None and value != []:
                    waiting += [value, f" {name}=".encode()]
        else:
            digest.update(f"{item!a} ".encode())
    return digest.hexdigest()[:16]


def _is_prose(node: object) -> bool:
    """Tell whether a statement is only a string: a docstring, or the text below a constant."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
