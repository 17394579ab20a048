"""The configuration of a validation of proxies."""

from __future__ import annotations

from pathlib import Path

from gtn_nas.config.base import Names, PositiveInt
from gtn_nas.config.search import SearchConfig


class ValidateConfig(SearchConfig):
    """One validation of proxies: a search whose candidates all have a truth.

    Attributes:
        candidates: architectures that are drawn.
        proxies: what is validated.
        truth: table of known accuracies; without one, every architecture is fully trained.
        truth_column: its column of accuracies, fractions or per cent.
        arch_column: its column of architectures.
    """

    candidates: PositiveInt = 60
    proxies: Names = (
        "gtn",
        "real_steps",
        "nwot",
        "jacob_cov",
        "synflow",
        "snip",
        "grad_norm",
        "zico",
    )
    truth: Path | None = None
    truth_column: str = "accuracy"
    arch_column: str = "arch"
