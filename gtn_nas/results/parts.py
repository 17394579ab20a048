"""Parquet part files: write rows to a file atomically, and read them back.

A part file is torn if it is damaged or incomplete, and foreign if it does not hold the expected
rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gtn_nas.errors import ConfigError, RunFolderError
from gtn_nas.results.schema import Row, columns, identity, required
from gtn_nas.storage.bucket import BucketPath
from gtn_nas.storage.files import Place, for_each, whole_file
from gtn_nas.trial import SCHEMA_VERSION, Record, Status

ARROW_TYPES: Mapping[str, Any] = {
    "VARCHAR": pa.string(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", tz="UTC"),
}

ROW_GROUP = 131_072
"""Rows of a Parquet row group, which one reading thread takes at a time; as in DuckDB."""


def to_table(rows: Sequence[Row], run: str) -> Any:
    """Return rows of one kind as a pyarrow table.

    The table has all columns of this kind, and one for each name in ``Record.extra``.

    Args:
        rows: at least one row.
        run: name of the run, for rows without one.

    Raises:
        ConfigError: a proxy's name equals that of a known column.
    """
    known = columns(type(rows[0]))
    arrays = {n: _array([getattr(row, n) for row in rows], kind) for n, kind in known.items()}
    arrays["run"] = _array([row.run or run for row in rows], known["run"])
    extras = [row.extra if isinstance(row, Record) else {} for row in rows]
    for name in sorted({name for extra in extras for name in extra}):
        if name.lower() in known:  # names in SQL are not case-sensitive
            raise ConfigError(f"a proxy cannot be called {name!r}: candidates have such a column")
        arrays[name] = _array([extra.get(name) for extra in extras], "DOUBLE")
    return pa.table(arrays)


def to_rows(table: Any, kind: type[Row]) -> list[Any]:
    """Return a table's rows as objects of ``kind``.

    For records, numeric columns that the class does not have become entries of ``Record.extra``.
    """
    known = columns(kind)
    rows = []
    for values in table.to_pylist():
        given = {n: v for n, v in values.items() if v is not None}
        known_values = {n: v for n, v in given.items() if n in known}
        if "status" in known_values:
            known_values["status"] = Status(known_values["status"])
        if kind is Record:
            known_values["extra"] = {
                n: v for n, v in given.items() if n not in known and isinstance(v, int | float)
            }
        rows.append(kind(**known_values))
    return rows


def write_part(path: Place, table: Any) -> None:
    """Write a table as one part file."""
    with whole_file(path) as file:
        pq.write_table(table, file, compression="zstd", row_group_size=ROW_GROUP)


def read_parts(paths: Sequence[Place], kind: type[Row]) -> dict[Place, Any]:
    """Read part files; leave out those that are torn or foreign, with a warning for each.

    Raises:
        RunFolderError: a newer version of this package wrote one of the files.
        StoreError: the files are in a bucket that does not answer.
    """
    tables = for_each(paths, lambda path: read_part(path, kind))
    return {p: table for p, table in zip(paths, tables, strict=True) if table is not None}


def read_part(path: Place, kind: type[Row]) -> Any:
    """Read one part file; if it is torn or foreign, warn and return ``None``.

    Raises:
        RunFolderError: a newer version of this package wrote the file.
        StoreError: the file is in a bucket that does not answer.
    """
    try:
        table = _opened(path).read()
    except (pa.ArrowException, OSError) as error:
        warnings.warn(f"skipped {path}: it is damaged ({error})", stacklevel=2)
        return None
    if not _fits(table, kind):
        warnings.warn(f"skipped {path}: it holds no {kind.__name__} rows", stacklevel=2)
        return None
    if len(table) and "schema_version" in table.column_names:
        require_version(path.parent.parent, pc.max(table["schema_version"]).as_py())
    for name, sql_type in columns(kind).items():
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(len(table), ARROW_TYPES[sql_type]))
    return table


def newest_version(paths: Sequence[Place]) -> int | None:
    """Return the highest schema version in some part files; unreadable ones are ignored."""
    newest = for_each(paths, _version)
    return max((version for version in newest if version is not None), default=None)


def require_version(folder: Place, version: int | None) -> None:
    """Refuse a run that a newer version of this package wrote.

    Args:
        folder: the run folder, for the message.
        version: the highest schema version in the run; ``None`` if there is none.

    Raises:
        RunFolderError: the version is higher than the one that this package reads.
    """
    if version is not None and version > SCHEMA_VERSION:
        raise RunFolderError(
            f"{folder} was written with schema version {version}, and this gtn-nas reads up to "
            f"{SCHEMA_VERSION}; install a newer one"
        )


def joined(tables: Sequence[Any], kind: type[Row]) -> Any:
    """Concatenate tables; of duplicate rows, keep only the first."""
    table = pa.concat_tables(tables, promote_options="permissive")
    if kind is Record:
        table = table.sort_by("tell_index")
    numbered = table.select(identity(kind)).append_column("row", pa.array(range(len(table))))
    first = numbered.group_by(identity(kind)).aggregate([("row", "min")])["row_min"]
    return table if len(first) == len(table) else table.take(first.sort())


def _opened(path: Place) -> Any:
    """Open a part file; if it is in a bucket, download it completely."""
    is_far = isinstance(path, BucketPath)
    return pq.ParquetFile(pa.BufferReader(path.read_bytes()) if is_far else path)


def _version(path: Place) -> int | None:
    with suppress(pa.ArrowException, OSError, KeyError):
        column = _opened(path).read(["schema_version"])["schema_version"]
        newest: int | None = pc.max(column).as_py()
        return newest
    return None


def _array(values: list[Any], sql_type: str) -> Any:
    try:
        return pa.array(values, ARROW_TYPES[sql_type])
    except UnicodeEncodeError:  # a lone surrogate, as Python has for file names not in UTF-8
        plain = [v and v.encode("utf-8", "replace").decode() for v in values]
        return pa.array(plain, ARROW_TYPES[sql_type])


def _fits(table: Any, kind: type[Row]) -> bool:
    known = {n: ARROW_TYPES[t] for n, t in columns(kind).items()}
    typed = all(field.type == known.get(field.name, field.type) for field in table.schema)
    present = set(required(kind)) <= set(table.column_names)
    return typed and present and not any(table[n].null_count for n in required(kind))
