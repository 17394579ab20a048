"""Classes that a setting names: those of the package by name, a user's own as ``module:Class``."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Generic, TypeVar

from gtn_nas.errors import ConfigError, UnknownNameError, one_line

T = TypeVar("T")

MAY_BE_MODULES = ("space", "strategy")
"""Settings that may name a user's own class, whose module is executed when it is imported."""


@dataclass(frozen=True)
class ClassRegistry(Generic[T]):
    """The classes of one kind; each is imported when it is asked for.

    Attributes:
        kind: what messages call one of them, such as ``search space``.
        base: the class that all of them derive from.
        example: how a user's own could be written, such as ``my_spaces:MySpace``.
        entries: for each name, where the class is (``module:Class``), and one line about it.
    """

    kind: str
    base: type[T]
    example: str
    entries: Mapping[str, tuple[str, str]]

    @property
    def texts(self) -> dict[str, str]:
        """The registered names, each with one line about it."""
        return {name: text for name, (_, text) in self.entries.items()}

    def find(self, spec: str) -> type[T]:
        """Return the class that ``spec`` names.

        Args:
            spec: a registered name, or ``module:Class``; such a module is imported with the
                current directory first on the path.

        Raises:
            UnknownNameError: no such registered name, or no such class in the module.
            ConfigError: the module is not found or fails to import, or the class does not derive
                from ``base``.
        """
        if spec in self.entries:
            spec = self.entries[spec][0]
        elif ":" in spec:
            _put_current_directory_on_path()
        else:
            raise UnknownNameError(self.kind, spec, [*self.entries, "module:Class"])
        module, _, name = spec.partition(":")
        return self._class_in(self._import(module, spec), name)

    def _import(self, module: str, spec: str) -> ModuleType:
        if module.endswith(".py") or not all(part.isidentifier() for part in module.split(".")):
            raise ConfigError(
                f"{self.kind} {spec!r}: write it as module:Class, e.g. {self.example}, "
                "not as a file or path"
            )
        try:
            return importlib.import_module(module)
        except (Exception, SystemExit) as error:
            if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
                raise ConfigError(
                    f"{self.kind} {spec!r}: no module {error.name!r} here or among the installed "
                    "ones"
                ) from error
            raise ConfigError(
                f"{self.kind} {spec!r}: importing {module!r} failed: {one_line(error)}"
            ) from error

    def _class_in(self, module: ModuleType, name: str) -> type[T]:
        found = getattr(module, name, None)
        if inspect.isclass(found) and issubclass(found, self.base):
            return found
        where, base = module.__name__, self.base
        if found is not None:
            raise ConfigError(f"{where}:{name} is not a subclass of {base.__name__}")
        offered = [n for n, c in inspect.getmembers(module, inspect.isclass) if c is not base]
        if not offered:
            raise ConfigError(f"module {where!r} defines no class, so no {name!r} either")
        raise UnknownNameError(f"class of module {where!r}", name, offered)


def own_modules(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings that name a class of a user's own.

    Their modules are executed only where a user names them, so that to open or to resume a run of
    somebody else's does not execute its code.

    Args:
        settings: of a configuration, by name.
    """
    named = {name: str(settings.get(name) or "") for name in MAY_BE_MODULES}
    return {name: spec for name, spec in named.items() if ":" in spec}


def options_naming(settings: Mapping[str, Any]) -> list[str]:
    """Return the command-line options that name a run's own modules again, as a resume needs."""
    return [word for name, spec in own_modules(settings).items() for word in (f"--{name}", spec)]


def _put_current_directory_on_path() -> None:
    """Let the user's modules be found, also those that their classes import later."""
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    importlib.invalidate_caches()
