"""DuckDB for untrusted SQL: it can read the files it was given, and nothing else."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from gtn_nas.errors import QueryError

if TYPE_CHECKING:
    import pyarrow as pa

TIMEOUT_S = 30.0
MEMORY_MB = 700
"""Memory that DuckDB may allocate; the whole process then stays below 1 GB."""

MAX_ROWS = 2_000_000
"""Most rows of a result; Python holds them in memory beside DuckDB's."""

HARMLESS = frozenset({"unnest", "json_each", "json_tree"})
"""Table functions that only compute; all others can read files, settings or raw memory."""

GROWING = frozenset(
    {"array_resize", "bitstring", "format", "generate_series", "list_resize"}
    | {"lpad", "printf", "range", "repeat", "rpad"}
)
"""Functions that can create any amount of data in one call.

Neither the time limit nor the memory limit can stop such a call.
"""


class Sandbox:
    """An in-memory database that can read the given Parquet files and access no others.

    Args:
        files: the files that the database may read.
        timeout_s: seconds that one statement may take.
    """

    def __init__(self, files: Iterable[Path], timeout_s: float = TIMEOUT_S) -> None:
        self.timeout_s = timeout_s
        allowed = {name for file in files for name in (str(file.absolute()), pattern(file))}
        self._connection = duckdb.connect(config={"python_enable_replacements": "false"})
        settings = {
            "TimeZone": "'UTC'",
            "threads": min(8, os.cpu_count() or 1),
            "memory_limit": f"'{MEMORY_MB}MB'",
            "temp_directory": "''",
            "parquet_metadata_cache": "true",
            "enable_progress_bar": "false",  # it would be drawn on stdout
            "allowed_paths": f"[{', '.join(literal(name) for name in sorted(allowed))}]",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "enable_external_access": "false",
            "lock_configuration": "true",
        }
        self._connection.execute("".join(f"SET {n} = {value};" for n, value in settings.items()))

    def fetch(
        self, sql: str, parameters: Sequence[Any] = ()
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Run one statement and return the names of its columns and its rows.

        A time without a time zone is taken as UTC, since all times in a run are in UTC.

        Raises:
            QueryError: the statement takes too long or too much memory, or gives too many rows.
            duckdb.Error: the statement is wrong, or a file is damaged.
        """
        with self._limits():
            result = self._connection.execute(sql, parameters)
            rows, columns = result.fetchmany(MAX_ROWS + 1), result.description or ()
        if len(rows) > MAX_ROWS:
            raise QueryError(f"the result has more than {MAX_ROWS:,} rows; add a LIMIT")
        if any(str(column[1]).startswith("TIMESTAMP") for column in columns):
            rows = [tuple(map(_in_utc, row)) for row in rows]
        return [column[0] for column in columns], rows

    def arrow(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Run one statement and return its result as an Arrow table; this imports pyarrow.

        Raises:
            QueryError: the statement takes too long or too much memory.
            duckdb.Error: the statement is wrong, or a file is damaged.
        """
        with self._limits():
            return self._connection.sql(sql, params=list(parameters)).to_arrow_table()

    def expression(self, text: str) -> str:
        """Check that a text is exactly one SQL condition; return it as DuckDB parsed it.

        Raises:
            QueryError: the text is not a condition, or calls a function that is not allowed.
        """
        try:
            expression = str(duckdb.SQLExpression(_utf8(text)))
        except duckdb.Error as error:
            raise QueryError(f"not a condition: {text!r} ({first_line(error)})") from error
        self.statement(f"SELECT {expression}")
        return expression

    def statement(self, text: str) -> str:
        """Check that a text is one SELECT that calls only allowed functions; return the text.

        Raises:
            QueryError: the text is something else.
        """
        _, [(tree,)] = self.fetch("SELECT json_serialize_sql(?::VARCHAR)", [_utf8(text)])
        parsed = json.loads(tree)
        if parsed["error"] and parsed["error_type"] == "parser":
            raise QueryError(f"not SQL: {parsed['error_message']}")
        if parsed["error"] or len(parsed["statements"]) != 1:
            raise QueryError("a query is exactly one SELECT statement")
        for node in _nodes(parsed):
            kind = str(node.get("type"))
            if kind.endswith("_QUERY_NODE"):  # INSERT, UPDATE or DELETE inside a WITH
                raise QueryError("a query may only SELECT")
            function = node["function"] if kind == "TABLE_FUNCTION" else node
            called = str(function.get("function_name")).lower()
            if called in GROWING or (kind == "TABLE_FUNCTION" and called not in HARMLESS):
                raise QueryError(f"a query may not call {called}()")
        return text

    @contextmanager
    def _limits(self) -> Iterator[None]:
        timer = threading.Timer(self.timeout_s, self._connection.interrupt)
        timer.start()
        try:
            yield
        except duckdb.InterruptException as error:
            raise QueryError(f"the query was stopped after {self.timeout_s:g} s") from error
        except duckdb.OutOfMemoryException as error:
            raise QueryError(f"the query needs more than {MEMORY_MB} MB of memory") from error
        finally:
            timer.cancel()
            timer.join()  # or it might interrupt the next statement


def pattern(file: Path) -> str:
    """Return a glob pattern that matches only this file, since DuckDB reads paths as patterns."""
    return re.sub(r"([*?\[])", r"[\1]", str(file.absolute()))


def literal(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def first_line(error: Exception) -> str:
    """Return DuckDB's message without the error's kind and without the marked line of SQL."""
    line = str(error).partition("\n")[0]
    return re.sub(r"^[A-Z][\w ]*? Error: ", "", line)


def _utf8(text: str) -> str:
    """Return a text if it is valid UTF-8, which arguments of a command line may not be."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise QueryError(f"not UTF-8: {text!r}") from error
    return text


def _in_utc(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of a JSON tree."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
