"""Versions of what results depend on."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("gtn-nas", "torch", "torchvision", "ray", "numpy")


def versions() -> dict[str, str]:
    """Return those of Python and of the packages that are installed; none is imported."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):  # as of a package that travels as a folder
            found[name] = version(name)
    return found
