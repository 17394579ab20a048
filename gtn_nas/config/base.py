"""What all configurations share: strict settings, their types, and messages about bad values."""

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
    """Turn ``a,b`` into a tuple, as a command line gives it; an empty text names nothing."""
    return tuple(filter(None, value.split(","))) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
UriOrPath = Annotated[str | Path, BeforeValidator(uri_or_path)]


class Group(StrEnum):
    """What a setting decides. ``--help`` shows the options in these groups, in this order."""

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
    """Declare a setting: the only place that says what it means, and what its option is.

    Args:
        default: the value where none is given. Help texts append it to the description.
        description: what the setting means, in Markdown, for users and developers alike. A word in
            braces stands for a list that another room knows: ``{proxies}`` for all proxies.
        group: what it decides. A setting without a group has no option on the command line: it is
            set in a configuration file.
        option: the option, where it is not the setting's name with dashes. A switch of its own is
            written ``--on/--off``.
    """
    return Field(
        default, description=description, json_schema_extra={"group": group, "option": option}
    )


class Config(BaseModel):
    """Settings that cannot be changed once made; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    without_option: ClassVar[frozenset[str]] = frozenset()
    """Settings of a parent class that have no option on this class's command line."""


C = TypeVar("C", bound=Config)


def parse(kind: type[C], values: Mapping[str, Any]) -> C:
    """Validate values into a configuration.

    Raises:
        ConfigError: names every misspelt key, with the nearest known one, and every bad value.
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
    if item["type"] == "value_error":  # raised by a check of ours, in its own words
        return str(item["ctx"]["error"])
    return f"{name}: {item['msg'].lower()} (got {item['input']!r})"
