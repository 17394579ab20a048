"""A candidate's architecture: the name of its search space and the choices made in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

Choice = str | int | float | bool | None
"""One JSON value."""


@dataclass(frozen=True, eq=False)
class Architecture:
    """One architecture of a search space; it is immutable.

    Search spaces return canonical architectures only (``SearchSpace.canonical``), so that equal
    keys mean equal networks.

    Attributes:
        space: name of the search space.
        choices: flat mapping of choice names to JSON values.

    Example:
        >>> from gtn_nas import Architecture
        >>> narrow = Architecture("my_space", {"width": 16, "depth": 2})
        >>> narrow == Architecture("my_space", {"depth": 2, "width": 16})
        True
        >>> narrow.key, narrow.choices["width"]
        ('9f6e6feadfc36b3f', 16)
    """

    space: str
    choices: Mapping[str, Choice]

    def __post_init__(self) -> None:
        """Freeze a private copy of the choices, in a fixed order."""
        object.__setattr__(self, "choices", MappingProxyType(dict(sorted(self.choices.items()))))

    def __eq__(self, other: object) -> bool:
        """Compare keys, not choices: Python says ``1 == True``, but these choices differ."""
        return isinstance(other, Architecture) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __reduce__(self) -> tuple[type[Architecture], tuple[str, dict[str, Choice]]]:
        """Pickle the choices as a plain dict, since a mapping proxy cannot be pickled."""
        return type(self), (self.space, dict(self.choices))

    def to_json(self) -> str:
        """Return the choices as compact JSON with sorted keys."""
        return json.dumps(dict(self.choices), separators=(",", ":"))

    @classmethod
    def from_json(cls, space: str, text: str) -> Architecture:
        """Rebuild an architecture from its space's name and the output of ``to_json``."""
        return cls(space, json.loads(text))

    @cached_property
    def key(self) -> str:
        """16 hex digits of a SHA-256 over the space's name and the choices."""
        return hashlib.sha256(f"{self.space}:{self.to_json()}".encode()).hexdigest()[:16]
