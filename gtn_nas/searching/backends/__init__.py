"""Back-ends, which compute a search; the setting ``executor`` names one.

Importing this package is cheap: an implementation is imported only when ``get_backend`` makes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from gtn_nas.errors import UnknownNameError

if TYPE_CHECKING:
    from gtn_nas.config.search import SearchConfig
    from gtn_nas.searching.backends.base import Backend

_REGISTERED = {
    "ray": ("ray:RayBackend", "workers of a Ray cluster, or of a private one on this machine"),
    "inline": ("inline:InlineBackend", "one process without Ray, open to a debugger"),
}
"""By name: the class (``module:Class``, the module in this folder) and a few words about it."""

BACKENDS: Mapping[str, str] = {name: text for name, (_, text) in _REGISTERED.items()}
"""Registered names, each with a few words about it."""


def get_backend(config: SearchConfig) -> Backend:
    """Return the back-end that a configuration names; nothing is started yet.

    Raises:
        UnknownNameError: there is no such back-end.
    """
    require_known(config.executor)
    module, _, name = _REGISTERED[config.executor][0].partition(":")
    backend: Backend = getattr(import_module(f"{__name__}.{module}"), name)(config)
    return backend


def require_known(name: str) -> None:
    """Check the name of a back-end without importing it.

    Raises:
        UnknownNameError: there is no such back-end.
    """
    if name not in _REGISTERED:
        raise UnknownNameError("executor", name, _REGISTERED)


def help_text() -> str:
    """Return all names with a few words about each, for the help of the command line."""
    return ", ".join(f"`{name}` ({text})" for name, text in BACKENDS.items())
