"""Where trials are evaluated: in this process, or by warm actors of a Ray cluster.

Importing this package imports neither Ray nor torch; each name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gtn_nas.executors.base import EvaluatorFactory, Executor
    from gtn_nas.executors.cluster import connect
    from gtn_nas.executors.inline import InlineExecutor
    from gtn_nas.executors.ray_actors import RayExecutor
    from gtn_nas.executors.ray_map import RayMap

__all__ = ["EvaluatorFactory", "Executor", "InlineExecutor", "RayExecutor", "RayMap", "connect"]

_FILES = {
    "EvaluatorFactory": "base",
    "Executor": "base",
    "InlineExecutor": "inline",
    "RayExecutor": "ray_actors",
    "RayMap": "ray_map",
    "connect": "cluster",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its file."""
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_FILES[name]}"), name)
