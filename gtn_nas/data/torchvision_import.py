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
    """Import torchvision or one of its modules, even if it was built for another torch.

    A CUDA build of torchvision cannot load its compiled operators beside a CPU-only torch. Its
    import then fails where it registers two of them: "operator torchvision::nms does not exist".
    Declaring both operators first avoids this; gtn-nas calls neither.

    Args:
        module: full name, e.g. ``"torchvision.transforms.v2"``.
    """
    _declare_missing_operators()
    return importlib.import_module(module)


def _declare_missing_operators() -> None:
    """Declare the operators that torchvision's import needs, unless its own can be loaded."""
    operators: Any = torch.ops
    package = find_spec("torchvision")
    folders = package.submodule_search_locations if package else []
    extension = PathFinder.find_spec("_C", folders)
    if extension is not None and extension.origin is not None:
        with contextlib.suppress(OSError):  # built for another torch: declare them below
            operators.load_library(extension.origin)
    for name in ("nms", "qnms"):
        if not hasattr(operators.torchvision, name):
            torch.library.define(f"torchvision::{name}", SCHEMA)
