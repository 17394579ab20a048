"""Base class of all configurations, types of settings, and error messages for bad values."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from gtn_nas.errors import ConfigError
from gtn_nas.storage.files import uri_or_path

PositiveInt = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
Momentum = Annotated[float, Field(ge=0, lt=1)]


def _split(value: object) -> object:
    """Split text such as ``a,b``, the form of the command line, into a tuple of names."""
    return tuple(filter(None, value.split(","))) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
UriOrPath = Annotated[str | Path, BeforeValidator(uri_or_path)]


class Group(StrEnum):
    """Topic of a setting. ``--help`` shows the options by topic, in this order."""

    DATA = "Data and seeds"
    SPACE = "Search space"
    TRUTH = "Truth"
    LESSON = "Lesson"
    META_TRAINING = "Meta-training"
    RANKING = "Ranking"
    FINALS = "Full training"
    WORKERS = "Workers"
    OUTPUT = "Output"


T = TypeVar("T")


def setting(
    default: T, description: str, group: Group | None = None, *, option: str | None = None
) -> T:
    """Declare a setting, with its description and its option on the command line.

    Args:
        default: the value if the user gives none. Help texts append it to the description.
        description: what the setting means, in Markdown, for users and developers. A word in
            braces is a placeholder that help texts fill in: ``{proxies}`` lists all proxies.
        group: topic of the setting. A setting without a group has no option on the command line;
            it can be set in a configuration file only.
        option: name of the option. By default the setting's name with dashes. ``--on/--off`` names
            the two options of a switch.
    """
    return Field(
        default, description=description, json_schema_extra={"group": group, "option": option}
    )


class Config(BaseModel):
    """Base class of configurations: immutable, and without unknown settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    without_option: ClassVar[frozenset[str]] = frozenset()
    """Settings of a parent class that have no option on this class's command line."""


C = TypeVar("C", bound=Config)


def parse(kind: type[C], values: Mapping[str, Any]) -> C:
    """Validate values and return them as a configuration.

    Raises:
        ConfigError: a key is unknown or a value is bad. The message names all of them, and the
            nearest known key.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problems = [_problem(kind, item) for item in error.errors()]
        raise ConfigError("; ".join(problems)) from error


def _problem(kind: type[Config], item: Any) -> str:
    name = ".".join(map(str, item["loc"]))
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, kind.model_fields, n=1)
        return f"unknown setting {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    if item["type"] == "value_error":  # the message of one of our validators
        return str(item["ctx"]["error"])
    return f"{name}: {item['msg'].lower()} (got {item['input']!r})"
