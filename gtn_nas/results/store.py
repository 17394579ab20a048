"""The writer of a run folder."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from gtn_nas.errors import EnvironmentFailure, RunFolderError
from gtn_nas.results import parts
from gtn_nas.results.layout import (
    CONFIG,
    TABLES,
    WEIGHTS,
    is_run,
    next_part,
    part_files,
    refuse_used,
)
from gtn_nas.results.lock import Lock, locked
from gtn_nas.results.schema import KINDS, Event, Latency, Row
from gtn_nas.storage.files import TEMPORARY, Place, for_each, whole_file
from gtn_nas.trial import Final, Record, Trial

FLUSH_ROWS = 512
"""Rows of one table that wait in memory at most."""

FLUSH_S = 1.0
"""Seconds that rows wait before the next one takes them along to the disk."""

MERGE_PARTS = 256
"""Small parts after which a table's are merged, so that a long run does not drown in files."""


class RunStore:
    """Keeps a run in a folder, on a disk or in a bucket, as its only writer.

    Rows wait in memory for up to ``FLUSH_S`` seconds or ``FLUSH_ROWS`` rows, then become one
    Parquet part that appears whole or not at all; whoever dies before loses only what waited. Asks,
    finals and latencies never wait. A lock keeps a second writer out. While a bucket does not
    answer, this waits, up to ``OUTAGE_S``, and so does whoever adds rows.

    Use ``create`` or ``open``, and the store as a context manager.

    Args:
        folder: the run folder.
        lock: keeps others out.
        clock: seconds since any moment; only differences count.
    """

    def __init__(self, folder: Place, lock: Lock, clock: Callable[[], float]) -> None:
        self.folder = folder
        self._lock: Lock | None = lock
        self._clock = clock
        self._flushed_at = clock()
        self._waiting: dict[str, list[Row]] = {table: [] for table in TABLES}
        self._small: dict[str, list[Place]] = {table: [] for table in TABLES}

    @classmethod
    def create(
        cls, folder: Place, config_yaml: str, *, clock: Callable[[], float] = time.monotonic
    ) -> RunStore:
        """Start a run in a new or empty folder.

        Raises:
            RunFolderError: the folder holds a run or anything else, or another process writes it.
            ConfigError: the bucket that it would be in is missing.
            EnvironmentFailure: the folder cannot be made.
        """
        refuse_used(folder)
        if isinstance(folder, Path):
            _make(folder)
        store = cls(folder, locked(folder), clock)
        try:
            refuse_used(folder)  # once more, now that nobody else can start a run here
            store.save_config(config_yaml)
        except BaseException:
            store._release()
            raise
        return store

    @classmethod
    def open(cls, folder: Place, *, clock: Callable[[], float] = time.monotonic) -> RunStore:
        """Continue a run.

        Raises:
            RunFolderError: the folder is no run, another process writes it, or a newer version of
                this package did.
            StoreError: the bucket does not answer.
        """
        if not is_run(folder):
            raise RunFolderError(f"{folder} is not a run; there is nothing to resume")
        store = cls(folder, locked(folder), clock)
        try:
            if isinstance(folder, Path):
                _tidy(folder)
            for table in TABLES:
                parts.require_version(folder, parts.newest_version(part_files(folder, table)))
        except BaseException:
            store._release()
            raise
        return store

    @property
    def run(self) -> str:
        """The run's name, which is that of its folder."""
        return (self.folder.resolve() if isinstance(self.folder, Path) else self.folder).name

    @property
    def config_yaml(self) -> str:
        """The stored configuration."""
        return (self.folder / CONFIG).read_text(encoding="utf-8")

    def save_config(self, config_yaml: str) -> None:
        """Replace the stored configuration."""
        with whole_file(self.folder / CONFIG) as file:
            file.write(config_yaml.encode())

    def append_candidates(self, records: Iterable[Record]) -> None:
        """Add evaluated trials; an empty call flushes what has waited long enough."""
        self._append("candidates", records)

    def append_asks(self, trials: Sequence[Trial]) -> None:
        """Add trials about to be dispatched; they are on the disk when this returns.

        So is everything that was added before: an ask follows from the records told by then, and
        can be repeated only with them.
        """
        self._add("events", [Event.ask(trial) for trial in trials])
        self.flush()

    def append_event(
        self,
        kind: str,
        *,
        ask_index: int | None = None,
        tell_index: int | None = None,
        key: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Add an event; ``details`` are JSON values."""
        event = Event(kind, self.run, ask_index, tell_index, key, json.dumps(details or {}))
        self._append("events", [event])

    def append_final(self, final: Final) -> None:
        """Add a full training; it is on the disk when this returns."""
        self._add("finals", [final])
        self._write("finals")

    def append_latency(self, latency: Latency) -> None:
        """Add a measured candidate; it is on the disk when this returns."""
        self._add("latencies", [latency])
        self._write("latencies")

    def save_weights(self, key: str, weights: bytes) -> Path:
        """Keep a network's safetensors file; return its path relative to the run folder."""
        path = Path(WEIGHTS) / f"{key}.safetensors"
        with whole_file(self.folder / path) as file:
            file.write(weights)
        return path

    def flush(self) -> None:
        """Write every row that waits.

        Raises:
            EnvironmentFailure: the disk is full or gone; the rows still wait.
        """
        for table in TABLES:
            self._write(table)
        self._flushed_at = self._clock()

    def compact(self) -> None:
        """Merge each table's parts into one.

        The old parts go only when the new one is on the disk. A crash in between leaves rows
        twice, and readers drop those.
        """
        self.flush()
        for table in TABLES:
            self._merge(table, part_files(self.folder, table))

    def load_candidates(self) -> list[Record]:
        """Return the flushed records in the order in which they were told."""
        return self._load("candidates")

    def load_events(self) -> list[Event]:
        """Return the flushed events in the order in which they were added."""
        return self._load("events")

    def load_finals(self) -> list[Final]:
        """Return the flushed finals in the order in which they were added."""
        return self._load("finals")

    def load_latencies(self) -> list[Latency]:
        """Return the latencies in the order in which they were added, one of each candidate."""
        return self._load("latencies")

    def close(self) -> None:
        """Flush, and let another writer in; harmless when repeated."""
        if self._lock is None:
            return
        try:
            self.flush()
        finally:
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if error is not None and self._lock is not None:
            self._lock.hurry()  # whoever is ended ends soon, and tells why
            with suppress(EnvironmentFailure):  # a resume evaluates again what waited
                self.close()
        self.close()

    def _add(self, table: str, rows: Iterable[Row]) -> None:
        if self._lock is None:
            raise RunFolderError(f"the run {self.folder} is closed; open it to write")
        self._waiting[table] += rows

    def _append(self, table: str, rows: Iterable[Row]) -> None:
        self._add(table, rows)
        waited_s = self._clock() - self._flushed_at
        if waited_s >= FLUSH_S or len(self._waiting[table]) >= FLUSH_ROWS:
            self.flush()

    def _write(self, table: str) -> None:
        rows = self._waiting[table]
        if not rows:
            return
        path = next_part(self.folder, table)
        parts.write_part(path, parts.to_table(rows, self.run))
        self._waiting[table] = []
        self._small[table].append(path)
        if len(self._small[table]) >= MERGE_PARTS:
            self._merge(table, self._small[table])

    def _merge(self, table: str, paths: Sequence[Place]) -> None:
        """Merge parts into one; unreadable ones stay as they are."""
        self._small[table] = []
        whole = parts.read_parts(paths, KINDS[table])
        if len(whole) < 2:
            return
        merged = parts.joined(list(whole.values()), KINDS[table])
        parts.write_part(next_part(self.folder, table), merged)
        for_each(whole, lambda path: path.unlink(missing_ok=True))

    def _load(self, table: str) -> list[Any]:
        kind = KINDS[table]
        whole = list(parts.read_parts(part_files(self.folder, table), kind).values())
        return parts.to_rows(parts.joined(whole, kind), kind) if whole else []

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _make(folder: Path) -> None:
    """Make the folder of a run with those in it."""
    try:
        for name in {*TABLES, WEIGHTS} - {"latencies"}:
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFailure(f"cannot create {folder}: {error.strerror}") from error


def _tidy(folder: Path) -> None:
    """Remove what a writer that died had not finished."""
    for place in (folder, *(folder / table for table in TABLES)):
        for unfinished in place.glob(f".*{TEMPORARY}"):
            unfinished.unlink()
