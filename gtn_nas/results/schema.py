"""The rows of a run's tables, and the columns that follow from them."""

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
        kind: ``batch``, ``ask``, ``reuse``, ``start``, ``resume``, ``exhausted``, ``end``; of
            workers, ``worker_joined``, ``worker_left``, ``requeued``; of full trainings,
            ``epoch``, ``confusion``.
        details: whatever else belongs to it, a JSON object.
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
        """Note that a trial was asked for, with all that is needed to dispatch it again."""
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
        """Return the trial that an ``ask`` noted.

        Raises:
            ValueError: this is no ``ask``.
        """
        if self.kind != "ask" or self.ask_index is None:
            raise ValueError(f"an event of kind {self.kind!r} holds no trial")
        details = json.loads(self.details)
        architecture = Architecture(details.pop("space"), details.pop("choices"))
        return Trial(architecture, ask_index=self.ask_index, **details)


@dataclass(frozen=True)
class Latency:
    """How fast a candidate answers as a user would deploy it: one row of the latencies table."""

    key: str
    batch: int
    """Images in a pass."""
    latency_ms: float | None = None
    """Median milliseconds of a forward pass at final scale; none if the network failed."""
    runs: int | None = None
    """Passes that it is the median of."""
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
"""What a row of each table is."""

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
    """Return the columns that a file must have, without nulls, to be a part of the table."""
    return [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]


def identity(kind: type[Row]) -> list[str]:
    """Return the columns that two rows share only if one is a duplicate of the other.

    Candidates with equal values here have equal scores, and each is measured once; finals and
    events are told apart by all they hold.
    """
    if kind is Record:
        return ["key", "evaluation_id", "budget", "seed"]
    if kind is Latency:
        return ["key"]
    return list(columns(kind))


def _without_none(hint: Any) -> type:
    """Return ``T`` of ``T | None``."""
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = [t for t in get_args(hint) if t is not types.NoneType]
    return hint  # type: ignore[no-any-return]  # a dataclass's hints are plain types here
