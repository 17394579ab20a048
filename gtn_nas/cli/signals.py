"""Ctrl-C and SIGTERM end a command cleanly within ten seconds, each with its own exit code."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

INTERRUPTED = 130
TERMINATED = 143

GRACE_S = 8.0
"""Time limit for cleaning up; disconnecting from a cluster whose head is gone can block."""

SHOW_CURSOR = "\x1b[?25h"
"""Shows the terminal's cursor again, which a live progress bar hides."""

_received: list[int] = []


def end_on_signals(last_words: str) -> None:
    """Make Ctrl-C and SIGTERM raise ``KeyboardInterrupt``, and end the process after ``GRACE_S``.

    Call it after connecting to Ray, since Ray installs its own signal handlers when it connects.
    SIGTERM raises ``KeyboardInterrupt`` too, since Ray changes the exit code of a ``SystemExit`` to
    1 if it is raised while Ray waits.

    Args:
        last_words: written to stderr if cleaning up takes too long.
    """

    def leave() -> None:
        code, what = exit_code()
        cursor = SHOW_CURSOR if os.isatty(2) else ""
        os.write(2, f"{cursor}{last_words}\nerror: {what}\n".encode())
        os._exit(code)

    def end(signum: int, frame: FrameType | None) -> None:
        if _received:
            return  # a second signal must not interrupt the cleaning up
        _received.append(signum)
        timer = threading.Timer(GRACE_S, leave)
        timer.daemon = True
        timer.start()
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, end)
        # Shells let background jobs ignore Ctrl-C, and that stays.
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, end)


def exit_code() -> tuple[int, str]:
    """Return the exit code and the message of a command that a signal ended."""
    if signal.SIGTERM in _received:
        return TERMINATED, "terminated"
    return INTERRUPTED, "interrupted"
