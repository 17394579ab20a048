"""Search spaces by name, and search spaces of the user's own by ``module:Class``."""

from __future__ import annotations

from collections.abc import Mapping

from gtn_nas.config.class_registry import ClassRegistry
from gtn_nas.errors import ConfigError, one_line
from gtn_nas.spaces.base import SearchSpace

_REGISTRY = ClassRegistry(
    "search space",
    SearchSpace,  # type: ignore[type-abstract]  # nothing is made of it
    "my_spaces:MySpace",
    {
        "conv_chain": (
            "gtn_nas.spaces.conv_chain:ConvChain",
            "plain convolutional networks: a chain of blocks of chosen depth, width and operations",
        ),
        "nao_cells": (
            "gtn_nas.spaces.nao_cells:NaoCells",
            "normal and reduction cells of five nodes, eleven operations "
            "(NAO, ENAS, the GTN paper)",
        ),
        "nas_bench_201": (
            "gtn_nas.spaces.nas_bench_201:NasBench201",
            "cells of four nodes and six edges, five operations each (Dong & Yang, 2020)",
        ),
    },
)

SPACES: Mapping[str, str] = _REGISTRY.texts
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
    kind = _REGISTRY.find(spec)
    try:
        space = kind()
    except Exception as error:
        raise ConfigError(
            f"search space {spec!r} cannot be instantiated without arguments: {one_line(error)}"
        ) from error
    for attribute in ("name", "choices"):
        if not getattr(space, attribute, None):
            raise ConfigError(f"search space {spec!r} sets no {attribute!r}; see SearchSpace")
    return space
