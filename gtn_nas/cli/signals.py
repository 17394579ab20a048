"""Ctrl-C and SIGTERM end a command in order, within ten seconds, with an exit code of its own."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

INTERRUPTED = 130
TERMINATED = 143

GRACE_S = 8.0
"""How long order may take; a cluster whose head is gone can hold up whoever leaves it."""

SHOW_CURSOR = "\x1b[?25h"
"""A live progress bar hides it in its terminal."""

_received: list[int] = []


def end_on_signals(last_words: str) -> None:
    """From now on, let Ctrl-C and SIGTERM unwind the main thread, and end it after ``GRACE_S``.

    Call it when Ray is connected, since Ray installs handlers of its own then. Both raise the
    exception of Ctrl-C: Ray turns a ``SystemExit`` that meets it waiting into one with exit code 1.

    Args:
        last_words: written to stderr if order takes too long.
    """

    def leave() -> None:
        code, what = exit_code()
        cursor = SHOW_CURSOR if os.isatty(2) else ""
        os.write(2, f"{cursor}{last_words}\nerror: {what}\n".encode())
        os._exit(code)

    def end(signum: int, frame: FrameType | None) -> None:
        if _received:
            return  # once is enough: what is being put in order must not be torn
        _received.append(signum)
        timer = threading.Timer(GRACE_S, leave)
        timer.daemon = True
        timer.start()
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, end)
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as of jobs in the background
            signal.signal(signal.SIGINT, end)


def exit_code() -> tuple[int, str]:
    """Return the exit code of a command that was ended, and what it says."""
    if signal.SIGTERM in _received:
        return TERMINATED, "terminated"
    return INTERRUPTED, "interrupted"
