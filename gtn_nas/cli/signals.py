"""SIGTERM ends a command in order, as Ctrl-C does, but with an exit code of its own."""

from __future__ import annotations

import signal
import threading
from types import FrameType

INTERRUPTED = 130
TERMINATED = 143

_received: list[int] = []


def end_on_sigterm() -> None:
    """From now on, let SIGTERM unwind the main thread.

    Call it when Ray is connected, since Ray installs a handler of its own then. The exception is
    that of Ctrl-C: Ray turns a ``SystemExit`` that meets it waiting into one with exit code 1.
    """

    def end(signum: int, frame: FrameType | None) -> None:
        _received.append(signum)
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, end)


def exit_code() -> tuple[int, str]:
    """Return the exit code of a command that was ended, and what it says."""
    if signal.SIGTERM in _received:
        return TERMINATED, "terminated"
    return INTERRUPTED, "interrupted"
