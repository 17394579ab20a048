"""Where tables are printed, and how what others wrote is shown."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from rich.console import Console

PIPE_WIDTH = 200
"""Width of a table that does not go to a terminal."""


def table_console() -> Console:
    """Return a console on stdout; in a pipe it is wide, so that nothing is folded."""
    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False, markup=False)


def printable(text: object) -> str:
    """Return a text on one line and without what could steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in str(text))


@contextmanager
def warnings_on_stderr() -> Iterator[None]:
    """Show warnings as lines like those of errors, each once."""
    shown: set[str] = set()

    def show(message: Warning | str, *details: Any, **more: Any) -> None:
        line = f"warning: {printable(message)}"
        if line not in shown:
            shown.add(line)
            print(line, file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield


def json_value(value: object) -> str:
    """Return what JSON has no word for: a time."""
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"no JSON: {value!r}")
