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
"""Most rows of one table that wait in memory."""

FLUSH_S = 1.0
"""Seconds after the last flush when the next added row causes another one."""

MERGE_PARTS = 256
"""Number of small part files of a table that are merged into one, to keep the files few."""


class RunStore:
    """The only writer of a run folder, on a disk or in a bucket.

    New rows wait in memory. When a row is added ``FLUSH_S`` seconds after the last flush, or when
    ``FLUSH_ROWS`` rows wait, they are written as one Parquet part file, which appears completely or
    not at all. A crash loses only the rows that wait. Asks, finals and latencies are written at
    once. A lock keeps a second writer out. While a bucket does not answer, calls wait for up to
    ``OUTAGE_S`` seconds.

    Make a store with ``create`` or ``open``, and use it as a context manager.

    Args:
        folder: the run folder.
        lock: the lock of the folder, which the store releases when it is closed.
        clock: returns seconds since any fixed moment; only differences are used.
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
            RunFolderError: the folder holds a run or other files, or another process writes it.
            ConfigError: the folder's bucket does not exist.
            EnvironmentFailure: the folder cannot be created.
        """
        refuse_used(folder)
        if isinstance(folder, Path):
            _make(folder)
        store = cls(folder, locked(folder), clock)
        try:
            refuse_used(folder)  # again: before the lock, another process could start a run here
            store.save_config(config_yaml)
        except BaseException:
            store._release()
            raise
        return store

    @classmethod
    def open(cls, folder: Place, *, clock: Callable[[], float] = time.monotonic) -> RunStore:
        """Continue a run.

        Raises:
            RunFolderError: the folder is not a run, another process writes it, or a newer version
                of this package wrote it.
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
        """The run's name, which is the name of its folder."""
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
        """Add evaluated trials. Without any, flush the waiting rows if ``FLUSH_S`` has passed."""
        self._append("candidates", records)

    def append_asks(self, trials: Sequence[Trial]) -> None:
        """Add trials that are about to be dispatched; they are stored when this returns.

        All rows that wait are stored too. The strategy chose these trials by the records it was
        told before, so a resume can repeat the ask only if those records are stored.
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
        """Add an event; the values in ``details`` must be JSON values. See ``Event``."""
        event = Event(kind, self.run, ask_index, tell_index, key, json.dumps(details or {}))
        self._append("events", [event])

    def append_final(self, final: Final) -> None:
        """Add a full training; it is stored when this returns."""
        self._add("finals", [final])
        self._write("finals")

    def append_latency(self, latency: Latency) -> None:
        """Add the latency of a candidate; it is stored when this returns."""
        self._add("latencies", [latency])
        self._write("latencies")

    def save_weights(self, key: str, weights: bytes) -> Path:
        """Store a network's weights as a safetensors file; return its path in the run folder.

        Args:
            key: key of the architecture.
            weights: contents of the safetensors file.
        """
        path = Path(WEIGHTS) / f"{key}.safetensors"
        with whole_file(self.folder / path) as file:
            file.write(weights)
        return path

    def flush(self) -> None:
        """Write all waiting rows.

        Raises:
            EnvironmentFailure: the disk is full or gone; the rows still wait in memory.
        """
        for table in TABLES:
            self._write(table)
        self._flushed_at = self._clock()

    def compact(self) -> None:
        """Merge each table's part files into one.

        The old files are deleted only after the new one is stored. A crash in between leaves
        duplicate rows, which readers drop.
        """
        self.flush()
        for table in TABLES:
            self._merge(table, part_files(self.folder, table))

    def load_candidates(self) -> list[Record]:
        """Return the stored records in the order in which the strategy was told of them."""
        return self._load("candidates")

    def load_events(self) -> list[Event]:
        """Return the stored events in the order in which they were added."""
        return self._load("events")

    def load_finals(self) -> list[Final]:
        """Return the stored full trainings in the order in which they were added."""
        return self._load("finals")

    def load_latencies(self) -> list[Latency]:
        """Return the stored latencies in the order in which they were added, one per candidate."""
        return self._load("latencies")

    def close(self) -> None:
        """Flush all rows and release the lock. Repeated calls have no effect."""
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
            self._lock.hurry()  # end at once with the first error, without waiting for a bucket
            with suppress(EnvironmentFailure):  # a resume evaluates the lost candidates again
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
        """Merge part files into one; unreadable files stay as they are."""
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
    """Create a run folder and its subfolders, all but the one for latencies."""
    try:
        for name in {*TABLES, WEIGHTS} - {"latencies"}:
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFailure(f"cannot create {folder}: {error.strerror}") from error


def _tidy(folder: Path) -> None:
    """Remove temporary files that a crashed writer left."""
    for place in (folder, *(folder / table for table in TABLES)):
        for unfinished in place.glob(f".*{TEMPORARY}"):
            unfinished.unlink()
