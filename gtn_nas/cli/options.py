"""Makes command-line options from a configuration's settings, and defines other shared options."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from gtn_nas.config.base import Config

F = TypeVar("F", bound=Callable[..., None])

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="YAML file of settings; options override it.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the run in `--out`.")]
ResumeOrStart = Annotated[
    bool,
    typer.Option(
        "--resume-or-start",
        help="Continue what is in `--out`, or start it: for commands that are repeated unattended.",
    ),
]


def configured(kind: str) -> Callable[[F], F]:
    """Return a decorator that attaches a configuration to the function of a command.

    The function must be added to the command line as a ``ConfiguredCommand``.

    Args:
        kind: class of the configuration, as ``module:Class`` in ``gtn_nas.config``.
    """

    def named(function: F) -> F:
        vars(function)["configuration"] = kind
        return function

    return named


class ConfiguredCommand(TyperCommand):
    """A command with an option for each setting of its configuration.

    These options are made when the command is called, since the classes of configurations take long
    to import. The command's function has parameters only for its other options; it gets the
    settings by calling ``settings``.
    """

    @cached_property
    def kind(self) -> type[Config]:
        """The class of the command's configuration."""
        module, _, name = vars(self.callback)["configuration"].partition(":")
        found: type[Config] = getattr(import_module(f"gtn_nas.config.{module}"), name)
        return found

    @cached_property
    def _options(self) -> list[Any]:
        return options(self.kind)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return all options: one for each setting, the function's own, and ``--help``."""
        return [*self._options, *super().get_params(ctx)]


def settings(context: typer.Context, file: Path | None) -> dict[str, Any]:
    """Return the settings of a configuration file, overridden by those given as options.

    Args:
        context: the context of a ``ConfiguredCommand``.
        file: the YAML file, if any.

    Raises:
        ConfigError: the file cannot be read.
    """
    from gtn_nas.config.yaml_file import read_yaml

    return (read_yaml(file) if file else {}) | (context.obj or {})


def options(kind: type[Config]) -> list[Any]:
    """Return an option for each setting that has a group, in the order of the groups."""
    from gtn_nas.config.base import Group

    parameters = [
        _parameter(name, field)
        for group in Group
        for name, field in kind.model_fields.items()
        if _about(field).get("group") == group and name not in kind.without_option
    ]

    def command() -> None: ...

    described: Any = command
    described.__signature__ = inspect.Signature(parameters)  # typer makes options from it
    app = typer.Typer(add_completion=False)
    app.command()(described)
    return typer.main.get_command(app).params


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    """Return the parameter from which typer makes a setting's option; ``None`` if not given."""
    kind = str if _is_split(field) else _kind(field.annotation)
    option = _about(field)["option"] or "--" + name.replace("_", "-")
    if kind is bool and "/" not in option:
        option = f"{option}/{option.replace('--', '--no-', 1)}"
    info = typer.Option(
        option,
        help=_help(field, option),
        rich_help_panel=str(_about(field)["group"]),
        expose_value=False,
        callback=_keep,
    )
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, info]
    )


def _keep(context: typer.Context, parameter: typer.CallbackParam, value: Any) -> None:
    """Store an option's value for ``settings`` instead of passing it to the function."""
    if value is not None:
        context.ensure_object(dict)[parameter.name] = value


def _about(field: FieldInfo) -> dict[str, Any]:
    """Return the facts that ``gtn_nas.config`` attached to a setting: its group and option."""
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


def _is_split(field: FieldInfo) -> bool:
    """Tell whether a setting's values are given as one text, which the configuration splits."""
    from pydantic import BeforeValidator

    return any(isinstance(part, BeforeValidator) for part in field.metadata)


def _kind(annotation: Any) -> Any:
    """Return the type of an option; the configuration checks further constraints."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin in (Annotated, Union, UnionType):
        return _kind(parts[0])
    if origin is Literal:
        return str
    return list[_kind(parts[0])] if origin is tuple else annotation  # type: ignore[misc]  # a type made here, which mypy cannot follow


def _help(field: FieldInfo, option: str) -> str:
    """Return an option's help: the setting's description with its ``{lists}``, and its default."""
    text = re.sub(r"{(\w+)}", lambda found: _listed(found[1]), str(field.description))
    default = field.default
    if default is None or default == ():
        return text
    if isinstance(default, bool):
        default = option.split("/")[not default]
    elif isinstance(default, tuple):
        default = ",".join(default)
    elif isinstance(default, float):
        default = f"{default:g}"
    return f"{text} [default: {default}]"


def _listed(what: str) -> str:
    """Return the text for a name in braces in a description.

    ``config`` uses such names for lists from packages that it must not import.
    """
    if what == "proxies":
        from gtn_nas.proxies.catalogue import help_text

        return help_text()
    if what == "executors":
        from gtn_nas.searching import backends

        return backends.help_text()
    raise KeyError(what)
