"""What all configurations share: strict settings, their types, and messages about bad values."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

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


class Config(BaseModel):
    """Settings that cannot be changed once made; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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
