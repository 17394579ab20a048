"""The configuration of a validation of proxies."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from gtn_nas.config.base import Group, Names, PositiveInt, setting
from gtn_nas.config.search import SearchConfig


class ValidateConfig(SearchConfig):
    """Settings of one validation of proxies.

    A validation is a search in which the accuracy of every candidate is known or measured. Each
    setting is described on its field, and by ``gtn-nas validate-proxy --help``.
    """

    without_option: ClassVar[frozenset[str]] = frozenset(
        {
            "strategy",
            "sampler",
            "top_k",
            "predictor",
            "halve_finals",
            "latency_batch",
            "objectives",
            "limits",
        }
    )

    candidates: PositiveInt = setting(
        60,
        "How many architectures are drawn at random.",
        Group.SPACE,
        option="--architectures",
    )
    proxies: Names = setting(
        ("all",),
        "Proxies to validate; several are joined by commas. `all` stands for those that a search "
        "may rank by. Available: {proxies}.",
        Group.RANKING,
    )
    truth: Path | None = setting(
        None,
        "CSV or Parquet table of known accuracies. By default there is none, and every "
        "architecture is fully trained.",
        Group.TRUTH,
    )
    truth_column: str = setting(
        "accuracy",
        "Column of accuracies in the table of known ones, as fractions or per cent.",
        Group.TRUTH,
    )
    arch_column: str = setting(
        "arch", "Column of architectures in the table of known accuracies.", Group.TRUTH
    )
