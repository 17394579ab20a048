"""The tables of one run as DuckDB views.

They have all known columns, no duplicate rows, and no damaged part files.
"""

# ruff: noqa: S608 - table and column names are our own or quoted, and paths are literals
from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb

from gtn_nas.errors import RunFolderError
from gtn_nas.ranking.columns import quoted
from gtn_nas.results.sandbox import Sandbox, literal, pattern
from gtn_nas.results.schema import KINDS, columns, identity, required
from gtn_nas.storage.files import Place
from gtn_nas.trial import SCHEMA_VERSION

PART, ROW = "_part", "_row"
"""Two further columns of each table: the index of a row's part file, and the row's number in it."""


class ForeignPart(Exception):
    """A part file of a table is foreign: it does not hold rows of that table."""


@dataclass(frozen=True)
class Spread:
    """The range of values in two columns of the candidates.

    With two equal ends, all candidates have the same value. Other tables have empty tuples.

    Attributes:
        budgets: the smallest and the largest ``budget``.
        evaluation_ids: the first and the last ``evaluation_id`` in alphabetical order.
    """

    budgets: tuple[int | None, ...] = ()
    evaluation_ids: tuple[str | None, ...] = ()


@dataclass(frozen=True)
class View:
    """A table as a SELECT.

    Attributes:
        select: SQL that returns the columns, ``PART`` and ``ROW``. Times are in UTC without a time
            zone, since DuckDB needs another package to return times with a zone to Python.
        types: SQL type of every column, known columns first.
        spread: ranges of values in the table of candidates.
    """

    select: str
    types: Mapping[str, str]
    spread: Spread = field(default_factory=Spread)


class Views:
    """The tables of a run, made of the part files that it had at one moment.

    Args:
        folder: the run folder, for messages.
        files: the part files of every table.
        sandbox: a database that may read these files.

    Attributes:
        skipped: messages about part files that were skipped as damaged or foreign.
    """

    def __init__(
        self, folder: Place, files: Mapping[str, Sequence[Path]], sandbox: Sandbox
    ) -> None:
        self.folder, self.sandbox = folder, sandbox
        self.skipped: list[str] = []
        self._files = {table: list(paths) for table, paths in files.items()}
        self._views: dict[str, View] = {}

    def view(self, table: str) -> View:
        """Return a table's view; if the run measured latencies, candidates have ``latency_ms``.

        Raises:
            RunFolderError: a newer version of this package wrote the run.
            ForeignPart, duckdb.Error: a part file is foreign or damaged; ``drop_damaged`` finds it.
        """
        if table not in self._views:
            opened = self._open(table, self._files[table])
            self._views[table] = self._with_latency(opened) if self._gets_latency(table) else opened
        return self._views[table]

    def excerpt(self, table: str, parts: Sequence[int]) -> View:
        """Return a view of a few part files, without checking them again.

        Args:
            table: the table's name.
            parts: values of ``PART`` in the whole table. In the excerpt, ``PART`` counts from 0 in
                the order of this list.
        """
        whole = self.view(table)
        files = [self._files[table][part] for part in parts]
        timed = self._gets_latency(table)
        own = {n: t for n, t in whole.types.items() if not (timed and n == "latency_ms")}
        rows = _viewed(_completed(files, self._types(files), own), own)
        return self._with_latency(rows) if timed else rows

    def drop_damaged(self) -> bool:
        """Read every part file in full; leave out those that fail, with a warning for each.

        Returns:
            Whether any file failed.
        """
        found = False
        for table, files in self._files.items():
            for file in list(files):
                try:
                    self._open(table, [file])
                    self.sandbox.fetch(f"SELECT bit_xor(hash(part)) FROM {_source([file])} AS part")
                except (ForeignPart, duckdb.Error):
                    if not file.exists():  # the run's writer merged it
                        continue
                    files.remove(file)
                    self._views.clear()
                    part = self.folder / table / file.name  # ``file`` may be a local copy
                    self.skipped.append(f"skipped {part}: it is damaged or no {table}")
                    warnings.warn(self.skipped[-1], stacklevel=2)
                    found = True
        return found

    def _gets_latency(self, table: str) -> bool:
        return table == "candidates" and bool(self._files["latencies"])

    def _with_latency(self, candidates: View) -> View:
        measured = self.view("latencies").select
        select = (
            f"SELECT c.*, l.latency_ms FROM ({candidates.select}) AS c "
            f"LEFT JOIN (SELECT key, latency_ms FROM ({measured})) AS l USING (key)"
        )
        types = {**candidates.types, "latency_ms": "DOUBLE"}
        return replace(candidates, select=select, types=types)

    def _open(self, table: str, files: Sequence[Path]) -> View:
        known = columns(KINDS[table])
        if not files:
            nothing = _nulls({**known, PART: "BIGINT", ROW: "BIGINT"})
            return _viewed(f"(SELECT {nothing} LIMIT 0)", known)
        found = self._types(files)
        if any(found.get(name, "") != known[name] for name in required(KINDS[table])) or any(
            found.get(name, sql_type) != sql_type for name, sql_type in known.items()
        ):
            raise ForeignPart
        types = {**known, **found}
        complete = _completed(files, found, types)
        unique, spread = self._checked(table, complete)
        return replace(_viewed(f"(SELECT * FROM {complete}{unique})", types), spread=spread)

    def _types(self, files: Sequence[Path]) -> dict[str, str]:
        _, described = self.sandbox.fetch(f"DESCRIBE SELECT * FROM {_source(files)}")
        return {name: sql_type for name, sql_type, *_ in described}

    def _checked(self, table: str, source: str) -> tuple[str, Spread]:
        """Check a table in one pass over its rows.

        Duplicates are rare, and the window function that drops them is several times as slow as the
        count that finds them. So it is used only if there are any.

        Returns:
            SQL that drops duplicate rows, empty if there are none; and the ranges of values.

        Raises:
            RunFolderError: a newer version of this package wrote the run.
            ForeignPart: a required column has nulls.
        """
        kind = KINDS[table]
        same = ", ".join(identity(kind))
        filled = [f"count({name})" for name in required(kind)]
        ends = [f"{f}({n})" for n in ("budget", "evaluation_id") for f in ("min", "max")]
        asked = ", ".join(filled + (ends if table == "candidates" else []))
        _, [(rows, distinct, version, *found)] = self.sandbox.fetch(
            f"SELECT count(*), count(DISTINCT hash({same})), max(schema_version), {asked} "
            f"FROM {source}"
        )
        if version is not None and version > SCHEMA_VERSION:
            raise RunFolderError(
                f"{self.folder} was written with schema version {version}, and this gtn-nas reads "
                f"up to {SCHEMA_VERSION}; install a newer one"
            )
        if min(found[: len(filled)]) < rows:
            raise ForeignPart
        budgets, ids = found[len(filled) : len(filled) + 2], found[len(filled) + 2 :]
        first = "tell_index" if table == "candidates" else "created_at"
        unique = f" QUALIFY row_number() OVER (PARTITION BY {same} ORDER BY {first}) = 1"
        return unique if distinct < rows else "", Spread(tuple(budgets), tuple(ids))


def _source(files: Sequence[Path]) -> str:
    listed = ", ".join(literal(pattern(file)) for file in files)
    return f"read_parquet([{listed}], union_by_name = true)"


def _completed(files: Sequence[Path], found: Collection[str], types: Mapping[str, str]) -> str:
    """Return the SQL source of some part files.

    Columns that the files lack are added with nulls, and ``PART`` and ``ROW`` are added.
    """
    missing = {name: sql_type for name, sql_type in types.items() if name not in found}
    nulls = f", {_nulls(missing)}" if missing else ""
    where = f"file_index::BIGINT AS {PART}, file_row_number AS {ROW}"
    return f"(SELECT *{nulls}, {where} FROM {_source(files)})"


def _nulls(types: Mapping[str, str]) -> str:
    return ", ".join(f"NULL::{sql_type} AS {quoted(name)}" for name, sql_type in types.items())


def _viewed(source: str, types: Mapping[str, str]) -> View:
    """Return the view of an SQL source, with its times in UTC."""
    shown = [f"timezone('UTC', {n}) AS {n}" if n == "created_at" else quoted(n) for n in types]
    return View(f"SELECT {', '.join([*shown, PART, ROW])} FROM {source}", types)
