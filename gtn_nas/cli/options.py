"""Options made from the settings of a configuration, and those that commands share beside them."""

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
    """Name the configuration of a command, which is then to be added as a ``ConfiguredCommand``.

    Args:
        kind: its class, as ``module:Class`` of ``gtn_nas.config``.
    """

    def named(function: F) -> F:
        vars(function)["configuration"] = kind
        return function

    return named


class ConfiguredCommand(TyperCommand):
    """A command with an option for each setting of its configuration.

    They are made when the command is called, since the classes of configurations take long to
    load. Its function has parameters for the other options, and gets the settings by ``settings``.
    """

    @cached_property
    def kind(self) -> type[Config]:
        """The class of its configuration."""
        module, _, name = vars(self.callback)["configuration"].partition(":")
        found: type[Config] = getattr(import_module(f"gtn_nas.config.{module}"), name)
        return found

    @cached_property
    def _options(self) -> list[Any]:
        return options(self.kind)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return all options: those of the settings, of the function, and ``--help``."""
        return [*self._options, *super().get_params(ctx)]


def settings(context: typer.Context, file: Path | None) -> dict[str, Any]:
    """Return the settings of a configuration file, and over them those given as options.

    Args:
        context: of a ``ConfiguredCommand``.
        file: YAML file, if any.

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
    described.__signature__ = inspect.Signature(parameters)  # what typer makes options of
    app = typer.Typer(add_completion=False)
    app.command()(described)
    return typer.main.get_command(app).params


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    """Return what typer makes an option of. Its value is None where it is not given."""
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
    """Keep what was given for ``settings``, instead of as an argument of the function."""
    if value is not None:
        context.ensure_object(dict)[parameter.name] = value


def _about(field: FieldInfo) -> dict[str, Any]:
    """Return what ``setting`` noted."""
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


def _is_split(field: FieldInfo) -> bool:
    """Tell whether several values are given as one text, which the configuration splits."""
    from pydantic import BeforeValidator

    return any(isinstance(part, BeforeValidator) for part in field.metadata)


def _kind(annotation: Any) -> Any:
    """Return the type that a text is read as; its constraints are left to the configuration."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin in (Annotated, Union, UnionType):
        return _kind(parts[0])
    if origin is Literal:
        return str
    return list[_kind(parts[0])] if origin is tuple else annotation  # type: ignore[misc]


def _help(field: FieldInfo, option: str) -> str:
    """Return the description, with what it leaves to other rooms, and with the default."""
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
    """Return a list that a description has in braces, of a room that ``config`` may not know."""
    if what == "proxies":
        from gtn_nas.proxies.catalogue import help_text

        return help_text()
    if what == "executors":
        from gtn_nas.searching import backends

        return backends.help_text()
    raise KeyError(what)
