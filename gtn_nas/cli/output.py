"""Where tables are printed, and how what others wrote is shown."""

from __future__ import annotations

import json
import math
import sys
import warnings
from collections.abc import Iterator, Mapping
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


def as_json(value: object) -> str:
    """Return a value as JSON, its numbers finite or null, what it has no word for as text."""
    return json.dumps(plain(value), indent=1, allow_nan=False, default=str)


def plain(value: Any) -> Any:
    """Return a value that JSON has: no times, and neither NaN nor infinity."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(plain(name)): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
