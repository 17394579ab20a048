"""The tables of a run as DuckDB sees them: every known column, no duplicates, no damaged part."""

# ruff: noqa: S608 - table and column names are our own or quoted, and paths are literals
from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from gtn_nas.errors import RunFolderError
from gtn_nas.files import Place
from gtn_nas.results.columns import quoted
from gtn_nas.results.sandbox import Sandbox, literal, pattern
from gtn_nas.results.schema import KINDS, columns, identity, required
from gtn_nas.trial import SCHEMA_VERSION


class ForeignPart(Exception):
    """Some part of a table holds something else."""


@dataclass(frozen=True)
class View:
    """One table.

    Attributes:
        select: SQL that gives the rows; times are UTC without a time zone, which DuckDB can hand
            to Python without a further package.
        columns: names of the columns, known ones first.
    """

    select: str
    columns: Sequence[str]


class Views:
    """The tables of a run, seen through the part files it had at one moment.

    Args:
        folder: the run folder, for messages.
        files: the part files of every table.

    Attributes:
        skipped: what was left out, in words.
    """

    def __init__(self, folder: Place, files: Mapping[str, Sequence[Path]]) -> None:
        self.folder = folder
        self.skipped: list[str] = []
        self.sandbox = Sandbox([file for table in files.values() for file in table])
        self._files = {table: list(paths) for table, paths in files.items()}
        self._views: dict[str, View] = {}

    def view(self, table: str) -> View:
        """Return a table's view; of a run that measured latencies, its candidates have them.

        Raises:
            RunFolderError: a newer version of this package wrote the run.
            ForeignPart, duckdb.Error: a part is foreign or damaged; ``drop_damaged`` finds it.
        """
        if table not in self._views:
            opened = self._open(table, self._files[table])
            timed = table == "candidates" and self._files["latencies"]
            self._views[table] = self._with_latency(opened) if timed else opened
        return self._views[table]

    def _with_latency(self, candidates: View) -> View:
        measured = self.view("latencies").select
        select = (
            f"SELECT c.*, l.latency_ms FROM ({candidates.select}) AS c "
            f"LEFT JOIN ({measured}) AS l USING (key)"
        )
        return View(select, [*candidates.columns, "latency_ms"])

    def largest_budget(self) -> str:
        """Return the SQL that leaves of each candidate the row of its largest budget.

        It is empty where all have the same one, since the window function is slow.
        """
        budgets = f"SELECT min(budget) < max(budget) FROM ({self.view('candidates').select})"
        _, [(several,)] = self.sandbox.fetch(budgets)
        largest = " QUALIFY row_number() OVER (PARTITION BY key ORDER BY budget DESC) = 1"
        return largest if several else ""

    def create(self, table: str) -> None:
        """Make a table known to SQL under its name."""
        self.sandbox.fetch(f"CREATE OR REPLACE VIEW {table} AS {self.view(table).select}")

    def drop_damaged(self) -> bool:
        """Read every part in full, leave out and name those that fail, and tell if any did."""
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
                    part = self.folder / table / file.name  # not a copy of it
                    self.skipped.append(f"skipped {part}: it is damaged or no {table}")
                    warnings.warn(self.skipped[-1], stacklevel=2)
                    found = True
        return found

    def _open(self, table: str, files: Sequence[Path]) -> View:
        kind = KINDS[table]
        known = columns(kind)
        if not files:
            nulls = ", ".join(f"NULL::{sql_type} AS {n}" for n, sql_type in known.items())
            return View(_in_utc(f"(SELECT {nulls} WHERE false)", known), list(known))
        source = _source(files)
        _, described = self.sandbox.fetch(f"DESCRIBE SELECT * FROM {source}")
        types = {name: sql_type for name, sql_type, *_ in described}
        if any(types.get(name, "") != known[name] for name in required(kind)) or any(
            types.get(name, sql_type) != sql_type for name, sql_type in known.items()
        ):
            raise ForeignPart
        missing = {n: sql_type for n, sql_type in known.items() if n not in types}
        nulls = "".join(f", NULL::{sql_type} AS {n}" for n, sql_type in missing.items())
        complete = f"(SELECT *{nulls} FROM {source})"
        unique = f"(SELECT * FROM {complete}{self._only_firsts(table, complete)})"
        names = [*known, *(name for name in types if name not in known)]
        return View(_in_utc(unique, names), names)

    def _only_firsts(self, table: str, source: str) -> str:
        """Check a table in one pass; return the SQL that drops duplicates, if there are any.

        The window function that drops them is several times as slow as the count that finds them,
        and there hardly ever are any.
        """
        kind = KINDS[table]
        same = ", ".join(identity(kind))
        filled = ", ".join(f"count({name})" for name in required(kind))
        _, [(rows, distinct, version, *filled_rows)] = self.sandbox.fetch(
            f"SELECT count(*), count(DISTINCT hash({same})), max(schema_version), {filled} "
            f"FROM {source}"
        )
        if version is not None and version > SCHEMA_VERSION:
            raise RunFolderError(
                f"{self.folder} was written with schema version {version}, and this gtn-nas reads "
                f"up to {SCHEMA_VERSION}; install a newer one"
            )
        if min(filled_rows) < rows:
            raise ForeignPart
        first = "tell_index" if table == "candidates" else "created_at"
        unique = f" QUALIFY row_number() OVER (PARTITION BY {same} ORDER BY {first}) = 1"
        return unique if distinct < rows else ""


def _source(files: Sequence[Path]) -> str:
    listed = ", ".join(literal(pattern(file)) for file in files)
    return f"read_parquet([{listed}], union_by_name = true)"


def _in_utc(source: str, names: Sequence[str] | Mapping[str, str]) -> str:
    shown = (f"timezone('UTC', {n}) AS {n}" if n == "created_at" else quoted(n) for n in names)
    return f"SELECT {', '.join(shown)} FROM {source}"
