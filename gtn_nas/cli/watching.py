"""Shows a view in a terminal and refreshes it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from rich.console import RenderableType
from rich.live import Live

from gtn_nas.cli.output import table_console

EVERY_S = 3.0
"""Seconds between two refreshes."""


def watched(look: Callable[[], RenderableType], goes_on: Callable[[], bool]) -> None:
    """Show a view and refresh it until it cannot change any more, or until Ctrl-C.

    If stdout is not a terminal, only the last view is printed.

    Args:
        look: returns the current view.
        goes_on: tells whether the view may still change.
    """
    console = table_console()
    if not console.is_terminal:
        while goes_on():
            time.sleep(EVERY_S)
        console.print(look())
        return
    with suppress(KeyboardInterrupt), Live(console=console, auto_refresh=False) as live:
        while True:
            may_change = goes_on()  # asked before `look`, so that the last view shows the end
            live.update(look(), refresh=True)
            if not may_change:
                return
            time.sleep(EVERY_S)
