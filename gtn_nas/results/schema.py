"""The classes for rows of a run's tables, and the columns that follow from their fields."""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Union, get_args, get_origin, get_type_hints

from gtn_nas.architecture import Architecture
from gtn_nas.trial import SCHEMA_VERSION, Final, Record, Status, Trial


@dataclass(frozen=True)
class Event:
    """Something that happened in a run: one row of the events table.

    Attributes:
        kind: ``batch``, ``ask``, ``reuse``, ``start``, ``resume``, ``exhausted`` or ``end``; for
            workers, ``worker_joined``, ``worker_left`` or ``requeued``; for full trainings,
            ``epoch`` or ``confusion``.
        details: further facts about the event, as a JSON object.
    """

    kind: str
    run: str = ""
    ask_index: int | None = None
    tell_index: int | None = None
    key: str | None = None
    details: str = "{}"
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    schema_version: int = SCHEMA_VERSION

    @classmethod
    def ask(cls, trial: Trial) -> Event:
        """Return the event of asking for a trial; it holds all that a resume needs to repeat it."""
        details = {
            "space": trial.architecture.space,
            "choices": dict(trial.architecture.choices),
            "budget": trial.budget,
            "parent_key": trial.parent_key,
            "seed": trial.seed,
            "evaluation_id": trial.evaluation_id,
        }
        key = trial.architecture.key
        return cls("ask", ask_index=trial.ask_index, key=key, details=json.dumps(details))

    def trial(self) -> Trial:
        """Return the trial of an ``ask`` event.

        Raises:
            ValueError: the event is of another kind.
        """
        if self.kind != "ask" or self.ask_index is None:
            raise ValueError(f"an event of kind {self.kind!r} holds no trial")
        details = json.loads(self.details)
        architecture = Architecture(details.pop("space"), details.pop("choices"))
        return Trial(architecture, ask_index=self.ask_index, **details)


@dataclass(frozen=True)
class Latency:
    """How fast a candidate's network predicts when deployed: one row of the latencies table."""

    key: str
    batch: int
    """Number of images in a forward pass."""
    latency_ms: float | None = None
    """Median milliseconds of a forward pass at final scale; ``None`` if the network failed."""
    runs: int | None = None
    """Number of forward passes that ``latency_ms`` is the median of."""
    run: str = ""
    status: Status = Status.OK
    error: str | None = None
    device: str = ""
    threads: int | None = None
    torch_version: str = ""
    node: str = ""
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    schema_version: int = SCHEMA_VERSION


Row = Record | Final | Event | Latency

KINDS: Mapping[str, type[Row]] = {
    "candidates": Record,
    "finals": Final,
    "events": Event,
    "latencies": Latency,
}
"""The class of a row, for each table."""

SQL_TYPES: Mapping[type, str] = {
    str: "VARCHAR",
    Status: "VARCHAR",
    int: "BIGINT",
    float: "DOUBLE",
    datetime: "TIMESTAMP WITH TIME ZONE",
}


def columns(kind: type[Row]) -> dict[str, str]:
    """Return a table's columns with their SQL types, in the order of the dataclass's fields.

    ``Record.extra`` is not among them: its entries are columns of their own, of type DOUBLE.
    """
    hints = get_type_hints(kind)
    names = [f.name for f in fields(kind) if f.name != "extra"]
    return {name: SQL_TYPES[_without_none(hints[name])] for name in names}


def required(kind: type[Row]) -> list[str]:
    """Return the columns that every part file of a table must have, without nulls."""
    return [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]


def identity(kind: type[Row]) -> list[str]:
    """Return the columns that identify a row: two rows with equal values in them are duplicates.

    Candidates with equal values in these columns have equal scores. Of each candidate there is one
    latency. Finals and events are duplicates only if all their columns are equal.
    """
    if kind is Record:
        return ["key", "evaluation_id", "budget", "seed"]
    if kind is Latency:
        return ["key"]
    return list(columns(kind))


def _without_none(hint: Any) -> type:
    """Return ``T`` for a type hint ``T`` or ``T | None``."""
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = [t for t in get_args(hint) if t is not types.NoneType]
    return hint  # type: ignore[no-any-return]  # a dataclass's hints are plain types here
