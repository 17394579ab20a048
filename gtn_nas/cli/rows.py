"""Prints rows as a table, as CSV, as JSON or as a Parquet file."""

from __future__ import annotations

import csv
import io
import json
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gtn_nas.cli.output import as_json, plain, printable
from gtn_nas.errors import ConfigError, QueryError
from gtn_nas.proxies.catalogue import SIZES

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.table import Table

    from gtn_nas.results.reader import Rows

MAX_TEXT = 60
"""Most characters of a text that a table shows."""


def table_of(found: Rows, *, ranked: bool) -> Table:
    """Return rows as a table for a terminal.

    Args:
        found: names of the columns, and the rows.
        ranked: whether to number the rows in a column ``rank``.
    """
    from rich.table import Table
    from rich.text import Text

    names, rows = found
    table = Table(box=None, header_style="bold", pad_edge=False)
    if ranked:
        table.add_column("rank", justify="right", no_wrap=True)
    for place, name in enumerate(names):
        numbers = any(isinstance(row[place], int | float) for row in rows)
        heading = Text(printable(name))
        table.add_column(heading, justify="right" if numbers else "left", no_wrap=True)
    for rank, row in enumerate(rows, start=1):
        number = [str(rank)] if ranked else []
        shown = (Text(_short(n, v)) for n, v in zip(names, row, strict=True))
        table.add_row(*number, *shown)
    return table


def print_csv(found: Rows) -> None:
    """Print rows as CSV; for a terminal, without the characters that could control it."""
    names, rows = found
    writer = csv.writer(sys.stdout, lineterminator="\n")
    lines = (map(plain, line) for line in (names, *rows))
    if sys.stdout.isatty():
        writer.writerows([_harmless(value) for value in line] for line in lines)
    else:
        writer.writerows(map(list, lines))


def print_json(found: Rows) -> None:
    """Print rows as a JSON list of objects."""
    names, rows = found
    print(as_json([dict(zip(names, row, strict=True)) for row in rows]))


def require_no_terminal() -> None:
    """Refuse to write a Parquet file to a terminal.

    Raises:
        ConfigError: stdout is a terminal.
    """
    if sys.stdout.isatty():
        raise ConfigError("Parquet is no text to look at; redirect it: --format parquet > FILE")


def print_parquet(table: pa.Table) -> None:
    """Write rows to stdout as a Parquet file.

    Raises:
        QueryError: a column has a type that Parquet does not support.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = io.BytesIO()  # so that a failure leaves no part of a file on stdout
    try:
        pq.write_table(table, file, compression="zstd")
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise QueryError(f"Parquet cannot hold this: {printable(error)}; cast it") from error
    sys.stdout.buffer.write(file.getbuffer())
    sys.stdout.buffer.flush()


def _harmless(value: Any) -> Any:
    return printable(value) if isinstance(value, str) else value


def _short(name: str, value: Any) -> str:
    """Return a value in a few printable characters; error texts may hold any character."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if name in SIZES and isinstance(value, int):
        return f"{value:,}"
    if name == "choices":
        value = _choices(str(value))
    text = printable(plain(value))
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


def _choices(text: str) -> str:
    """Return an architecture's choices as ``name=value``, or the text unchanged if it has none.

    A part file written by something else may hold another text.
    """
    with suppress(ValueError, AttributeError):
        return " ".join(f"{name}={value}" for name, value in json.loads(text).items())
    return text
