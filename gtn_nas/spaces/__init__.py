"""Search spaces by name, and search spaces of the user's own by ``module:Class``."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Mapping
from types import ModuleType

from gtn_nas.errors import ConfigError, UnknownNameError
from gtn_nas.spaces.base import SearchSpace

_REGISTERED = {
    "conv_chain": (
        "gtn_nas.spaces.conv_chain:ConvChain",
        "plain convolutional networks: a chain of blocks of chosen depth, width and operations",
    ),
    "nao_cells": (
        "gtn_nas.spaces.nao_cells:NaoCells",
        "normal and reduction cells of five nodes, eleven operations (NAO, ENAS, the GTN paper)",
    ),
    "nas_bench_201": (
        "gtn_nas.spaces.nas_bench_201:NasBench201",
        "cells of four nodes and six edges, five operations each (Dong & Yang, 2020)",
    ),
}

SPACES: Mapping[str, str] = {name: text for name, (_, text) in _REGISTERED.items()}
"""Registered names, each with one line about it."""


def get_space(spec: str) -> SearchSpace:
    """Return the search space that ``spec`` names.

    Args:
        spec: a name from ``SPACES``, or ``module:Class`` for a space of the user's own. The module
            is imported with the current directory first on the path, and the class is instantiated
            without arguments.

    Raises:
        UnknownNameError: no such registered name, or no such class in the module.
        ConfigError: the module is not found or fails to import, or the class is not a complete
            search space.
    """
    if spec in _REGISTERED:
        spec = _REGISTERED[spec][0]
    elif ":" in spec:
        _put_current_directory_on_path()
    else:
        raise UnknownNameError("search space", spec, [*SPACES, "module:Class"])
    module_name, _, class_name = spec.partition(":")
    return _instance(_class_in(_import(module_name, spec), class_name), spec)


def _put_current_directory_on_path() -> None:
    """Let the user's modules be found, also those that their ``build`` imports later."""
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    importlib.invalidate_caches()


def _import(module: str, spec: str) -> ModuleType:
    if module.endswith(".py") or not all(part.isidentifier() for part in module.split(".")):
        raise ConfigError(
            f"search space {spec!r}: write it as module:Class, e.g. my_spaces:MySpace, "
            "not as a file or path"
        )
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            raise ConfigError(
                f"search space {spec!r}: no module {error.name!r} here or among the installed ones"
            ) from error
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(
            f"search space {spec!r}: importing {module!r} failed: {reason}"
        ) from error


def _class_in(module: ModuleType, name: str) -> type[SearchSpace]:
    found = getattr(module, name, None)
    if inspect.isclass(found) and issubclass(found, SearchSpace):
        return found
    if found is not None:
        raise ConfigError(f"{module.__name__}:{name} is not a subclass of SearchSpace")
    offered = [n for n, c in inspect.getmembers(module, inspect.isclass) if c is not SearchSpace]
    if not offered:
        raise ConfigError(f"module {module.__name__!r} defines no class, so no {name!r} either")
    raise UnknownNameError(f"class of module {module.__name__!r}", name, offered)


def _instance(cls: type[SearchSpace], spec: str) -> SearchSpace:
    try:
        space = cls()
    except Exception as error:
        raise ConfigError(
            f"search space {spec!r} cannot be instantiated without arguments: "
            + " ".join(f"{type(error).__name__}: {error}".split())
        ) from error
    for attribute in ("name", "choices"):
        if not getattr(space, attribute, None):
            raise ConfigError(f"search space {spec!r} sets no {attribute!r}; see SearchSpace")
    return space
