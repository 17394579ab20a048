"""The one place through which torchvision is imported."""

from __future__ import annotations

import contextlib
import importlib
from importlib.machinery import PathFinder
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch

SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def import_torchvision(module: str = "torchvision") -> ModuleType:
    """Import torchvision or one of its modules, whichever torch it was built for.

    Its CUDA wheel beside a CPU-only torch cannot load its compiled operators, and then fails while
    it describes two of them: "operator torchvision::nms does not exist". Declaring both cures it;
    nothing here calls them.

    Args:
        module: full name, e.g. ``"torchvision.transforms.v2"``.
    """
    _declare_missing_operators()
    return importlib.import_module(module)


def _declare_missing_operators() -> None:
    """Declare what torchvision describes on import, unless its own operators can be loaded."""
    operators: Any = torch.ops
    package = find_spec("torchvision")
    folders = package.submodule_search_locations if package else []
    extension = PathFinder.find_spec("_C", folders)
    if extension is not None and extension.origin is not None:
        with contextlib.suppress(OSError):  # built for another torch: this is the case to cure
            operators.load_library(extension.origin)
    for name in ("nms", "qnms"):
        if not hasattr(operators.torchvision, name):
            torch.library.define(f"torchvision::{name}", SCHEMA)
