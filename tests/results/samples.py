from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_type_hints

import hypothesis.strategies as st

from gtn_nas.architecture import Architecture
from gtn_nas.results.schema import Event, Latency
from gtn_nas.results.store import RunStore
from gtn_nas.trial import SCHEMA_VERSION, Final, Record, Status, Trial

START = datetime(2026, 1, 1, tzinfo=UTC)


def trial(index: int, **values: Any) -> Trial:
    architecture = Architecture("cells", {"width": index, "op": "conv"})
    return Trial(architecture, 32, index, **{"seed": 7, "evaluation_id": "e" * 16} | values)


def record(index: int, **values: Any) -> Record:
    """A successful candidate; the higher the index, the worse and the larger."""
    defaults = {
        "status": Status.OK,
        "proxy_accuracy": 1 / (index + 1),
        "params": 1000 * (index + 1),
        "tell_index": index,
        "run": "run",
        "created_at": START + timedelta(seconds=index),
    }
    return Record.of(trial(index), **defaults | values)


def final(index: int, **values: Any) -> Final:
    of = record(index)
    defaults = {"status": Status.OK, "run": "run", "created_at": of.created_at}
    return Final(of.key, of.space, of.choices, index + 1, **defaults | values)


def latency(index: int, latency_ms: float | None = 1.0, **values: Any) -> Latency:
    of = record(index)
    defaults = {"runs": 10, "run": "run", "device": "cpu", "created_at": of.created_at}
    return Latency(of.key, 1, latency_ms, **defaults | values)


def write_run(folder: Path, *batches: Iterable[Record], config: str = "seed: 0\n") -> Path:
    """A finished run with one part file for each batch of records."""
    with RunStore.create(folder, config) as store:
        for batch in batches:
            store.append_candidates(batch)
            store.flush()
    return folder


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
INTEGER = st.integers(-(2**63), 2**63 - 1)
FLOAT = st.floats(allow_nan=False)  # NaN is kept as well, but does not equal itself
TIME = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC))
EXTRA = st.text("abcdefghijklmnopqrstuvwxyz '\"é-", min_size=1, max_size=8).map(lambda n: f"x_{n}")


OF_TYPE = {
    str: TEXT,
    int: INTEGER,
    float: FLOAT,
    datetime: TIME,
    Status: st.sampled_from(Status),
    str | None: st.none() | TEXT,
    int | None: st.none() | INTEGER,
    float | None: st.none() | FLOAT,
}


def rows(kind: type, **fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Any row of a table."""
    fields = {n: OF_TYPE[hint] for n, hint in get_type_hints(kind).items() if n != "extra"}
    return st.builds(kind, **fields | {"schema_version": st.just(SCHEMA_VERSION)} | fixed)


RECORDS = rows(Record, extra=st.dictionaries(EXTRA, FLOAT, max_size=3))
FINALS = rows(Final)
EVENTS = rows(Event)
LATENCIES = rows(Latency)
