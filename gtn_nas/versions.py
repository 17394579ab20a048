"""Versions of Python and of the packages that results depend on."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("gtn-nas", "torch", "torchvision", "ray", "numpy")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the installed ``PACKAGES``, without importing them."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):  # e.g. gtn-nas run from a folder, not installed
            found[name] = version(name)
    return found
