"""How a process keeps memory, and how much it can have."""

from __future__ import annotations

import ctypes
import math
import sys
from pathlib import Path

import psutil
import torch

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
"""Numbers of options in glibc's ``malloc.h``."""
CGROUP = Path("/sys/fs/cgroup")


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


def free_bytes(device: torch.device) -> float:
    """Return how much memory a process could still take: of the GPU, or of the machine."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return min(float(psutil.virtual_memory().available), _cgroup_bytes())


def _cgroup_bytes() -> float:
    """Return what a container's limit leaves, as in Docker or Kubernetes; psutil knows of none.

    Files that were read count as used until the kernel needs their memory; it is free.
    """
    for limit, used, cached in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            free = float((CGROUP / limit).read_text()) - float((CGROUP / used).read_text())
            statistics = (CGROUP / used).with_name("memory.stat").read_text().splitlines()
        except (OSError, ValueError):  # ValueError: "max", no limit
            continue
        counts = dict(line.split() for line in statistics)
        return free + float(counts.get(cached, 0))
    return math.inf
