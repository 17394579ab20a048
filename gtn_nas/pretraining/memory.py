"""Memory of this process: how the C library frees it, and how much of it is free."""

from __future__ import annotations

import ctypes
import math
import sys
from pathlib import Path

import psutil
import torch

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
"""Numbers of the options of ``mallopt`` in glibc's ``malloc.h``."""
CGROUP = Path("/sys/fs/cgroup")


def keep_freed_memory() -> None:
    """Let the C library keep large blocks of memory after they are freed, and use them again.

    By default glibc returns every large block to the kernel, which must clear each page of the next
    block. In meta-training, whose tensors of some hundred megabytes live for milliseconds, this
    takes half of the time. With other C libraries this function does nothing.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_TOP_PAD, 2**26)


def free_bytes(device: torch.device) -> float:
    """Return the bytes of free memory: of the GPU, or of the machine or container."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return min(float(psutil.virtual_memory().available), _cgroup_bytes())


def _cgroup_bytes() -> float:
    """Return the bytes left below the limit of a container, which psutil does not know.

    Without a limit the result is infinite. The kernel counts cached files as used memory, but frees
    them when memory is needed, so they count as free here.
    """
    for limit, used, cached in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            free = float((CGROUP / limit).read_text()) - float((CGROUP / used).read_text())
            statistics = (CGROUP / used).with_name("memory.stat").read_text().splitlines()
        except (OSError, ValueError):  # ValueError: the limit is "max", i.e. none
            continue
        counts = dict(line.split() for line in statistics)
        return free + float(counts.get(cached, 0))
    return math.inf
