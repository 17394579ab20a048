"""The line about the machine that stands above every printed table."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime

import torch


def machine() -> str:
    """Return date, cores, threads and versions."""
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {torch.get_num_threads()} threads "
        f"here, torch {torch.__version__}, Python {platform.python_version()}"
    )
