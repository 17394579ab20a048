"""Fingerprints of code: whether scores of two moments were made by the same networks and proxies.

A fingerprint has a hash for each module of a person's own, or of this package, that some module
imports, directly or through others, also inside of functions. What is imported is read from the
source: nothing is executed. Comments, docstrings and layout do not count. Python, installed
packages, data files, and modules that are imported by a name made at run time are not seen.
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
"""16 hex digits of a hash of the code, by the name of the module."""

PACKAGE = __name__.partition(".")[0]
ROOMS = frozenset({"architecture", "pretraining", "spaces", "teacher", "trial"})
"""Where imports are followed in this package: the others build no network and teach none.

What scores a network is asked for by name, so imports are not followed into ``proxies``. Their
``__init__`` counts only where something is taken from it: those are lists of what there is.
"""
PYTHON = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
"""Folders of Python's own modules."""
UNWRITTEN = frozenset({"ctx", "kind", "type_comment"})
"""Fields of a syntax tree that follow from others, or mean nothing."""


def space_fingerprint(space: SearchSpace) -> Fingerprint:
    """Return the fingerprint of all that the networks of a search space are built from.

    That is the module of its class, those of the classes that it derives from, and what they
    import.

    Raises:
        ConfigError: the class has no source file, as one typed into an interactive session, or a
            module that it imports cannot be read.
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
    """Return the fingerprint of some modules of this package and of what they import.

    Args:
        modules: full names; these count wherever they are.

    Raises:
        ConfigError: one is not found or cannot be read.
    """
    found = {name: _find(name) for name in modules}
    for name, module in found.items():
        if module is None:
            raise ConfigError(f"there is no module {name}, which scores depend on")
    return _fingerprint([m for m in found.values() if m is not None], _is_followed)


def changed_modules(noted: object, space: SearchSpace) -> list[str]:
    """Return the modules of a search space that have changed since a run noted its fingerprint.

    Args:
        noted: that fingerprint. Earlier versions noted something else in its place, or nothing:
            what has changed since then cannot be told, and nothing is returned.
        space: the search space.

    Raises:
        ConfigError: see ``space_fingerprint``.
    """
    return _differing(noted, space_fingerprint(space)) if isinstance(noted, Mapping) else []


def changes(noted: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the names of what differs; of fingerprints and settings, which, in brackets.

    Args:
        noted: all that scores depended on, by name; other entries do not matter.
        now: all that they depend on.
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
        package: what its relative imports start from.
        file: its file, if it has one.
        folders: where its own modules are, if it is a package.
    """

    name: str
    package: str
    file: Path | None
    folders: tuple[str, ...]

    @property
    def top(self) -> str:
        """Name of the package that all of its packages are in, or its own."""
        return self.name.partition(".")[0]


def _find(name: str) -> _Module | None:
    """Find a module as Python would, without importing it or the packages that it is in."""
    loaded = sys.modules.get(name)
    parent, _, _ = name.rpartition(".")
    if loaded is not None:
        file, folders = getattr(loaded, "__file__", None), getattr(loaded, "__path__", None)
        package = getattr(loaded, "__package__", None) or ""
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
    if not (file or folders):
        return None
    return _Module(name, package, Path(file) if file else None, tuple(folders or ()))


def _is_followed(module: _Module) -> bool:
    """Tell whether a module is of a person's own, or of the rooms of this package that count."""
    if module.top == PACKAGE:
        return module.name.partition(".")[2].partition(".")[0] in ROOMS
    top = _find(module.top) or module
    place = top.file.parent if top.file else Path(top.folders[0])
    root = place.parent if top.folders else place
    return not (
        root.name in ("site-packages", "dist-packages")
        or any(map(root.is_relative_to, PYTHON))
        or any(root.glob("*.dist-info"))  # an installer was told to use this folder
    )


def _fingerprint(start: Iterable[_Module], counts: Callable[[_Module], bool]) -> Fingerprint:
    """Return the hashes of modules and of those that they import, as far as they count."""
    hashes: Fingerprint = {}
    waiting, seen = list(start), set[str]()
    while waiting:
        module = waiting.pop()
        if module.name in seen:
            continue
        seen.add(module.name)
        # A package runs before what is in it. Those of this package do nothing.
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
    """Yield the full names of what import statements name, wherever they stand."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                try:
                    base = importlib.util.resolve_name("." * node.level + base, package)
                except ImportError:  # nor would Python find it
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
            warnings.simplefilter("ignore")  # of an odd escape, which Python warns of when it runs
            return ast.parse(source, str(file))
    except (SyntaxError, ValueError) as error:
        where = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        what = error.msg if isinstance(error, SyntaxError) else error
        raise ConfigError(
            f"{file}{where}: {what}; the search space may import it, so correct it"
        ) from error


def _hash(tree: ast.AST) -> str:
    """Return 16 hex digits of a hash of the code, without strings that are statements.

    ``ast.dump`` and ``ast.unparse`` write the same code differently in different versions of
    Python: new ones add fields that are empty, and choose other quotes. What is written here is the
    same in all of them, so that another version can resume a run.
    """
    digest = hashlib.sha256()
    waiting: list[object] = [tree]  # a loop, since long sums are deeper than Python's stack
    while waiting:
        item = waiting.pop()
        if isinstance(item, bytes):  # written already
            digest.update(item)
        elif isinstance(item, list):
            digest.update(b"[")
            waiting += [b"]", *reversed([part for part in item if not _is_prose(part)])]
        elif isinstance(item, ast.Constant):
            digest.update(f"({item.value!a})".encode())
        elif isinstance(item, ast.JoinedStr):
            # Python 3.12 ends a format within a format by an empty string.
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
    """Tell whether a statement is a string alone: a docstring, or the text below a constant."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
