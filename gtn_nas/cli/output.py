"""Where tables are printed."""

from __future__ import annotations

import sys

from rich.console import Console

PIPE_WIDTH = 200
"""Width of a table that does not go to a terminal."""


def table_console() -> Console:
    """Return a console on stdout; in a pipe it is wide, so that nothing is folded."""
    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False, markup=False)
