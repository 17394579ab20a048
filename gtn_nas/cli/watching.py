"""A view that is refreshed as long as there is something to see."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from rich.console import RenderableType
from rich.live import Live

from gtn_nas.cli.output import table_console

EVERY_S = 3.0
"""Seconds between two looks."""


def watched(look: Callable[[], RenderableType], goes_on: Callable[[], bool]) -> None:
    """Show a view again and again, until nothing is expected of it or Ctrl-C.

    Where there is no terminal, only the last one is printed.

    Args:
        look: returns what is to be seen now.
        goes_on: tells whether it may still change.
    """
    console = table_console()
    if not console.is_terminal:
        while goes_on():
            time.sleep(EVERY_S)
        console.print(look())
        return
    with suppress(KeyboardInterrupt), Live(console=console, auto_refresh=False) as live:
        while True:
            may_change = goes_on()  # before the look, so that the last one sees the end
            live.update(look(), refresh=True)
            if not may_change:
                return
            time.sleep(EVERY_S)
