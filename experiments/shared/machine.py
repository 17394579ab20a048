"""The line about the machine that is printed above every table."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime

import torch


def machine() -> str:
    """Return the date, the numbers of cores and threads, and the versions of torch and Python."""
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {torch.get_num_threads()} threads "
        f"here, torch {torch.__version__}, Python {platform.python_version()}"
    )
