"""How the process keeps memory."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
"""Numbers of options in glibc's ``malloc.h``."""


def keep_freed_memory() -> None:
    """Let the C library keep large blocks that were freed, for the next ones.

    By default glibc hands every large block back to the kernel, which then clears each page of the
    next one: for meta-training, whose tensors of some hundred megabytes live for milliseconds, half
    of the time. Does nothing where the C library is another one.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_TOP_PAD, 2**26)
