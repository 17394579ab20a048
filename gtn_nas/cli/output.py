"""Output on a terminal: consoles, warnings, JSON, and text made safe to print."""

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
    """Return a console on stdout; it is wide in a pipe, so that lines are not folded there."""
    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False, markup=False)


def printable(text: object) -> str:
    """Return a text on one line and without the characters that could control a terminal."""
    return "".join(c if c.isprintable() else " " for c in str(text))


@contextmanager
def warnings_on_stderr() -> Iterator[None]:
    """Print each warning once, as one line on stderr."""
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
    """Return a value as JSON: NaN and infinity as null, and other types unknown to JSON as text."""
    return json.dumps(plain(value), indent=1, allow_nan=False, default=str)


def plain(value: Any) -> Any:
    """Return a value for JSON: times as text, and NaN and infinity as ``None``."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(plain(name)): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
