"""What proxies are called, and which columns each fills; without torch, so that anyone may ask."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from gtn_nas.errors import UnknownNameError

ZERO_COST = ("nwot", "jacob_cov", "synflow", "snip", "grad_norm", "zico")
"""Proxies that need no training."""

TRAINED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "gtn": ("proxy_accuracy", "proxy_loss", "gtn_drop"),
        "gtn_improvement": ("gtn_improvement",),
        "gtn_untrained": ("untrained_accuracy", "untrained_loss"),
        "real_steps": ("real_accuracy", "real_loss", "real_training_loss"),
    }
)
"""Proxies that train a candidate, and their columns."""

OF_TEACHER = frozenset({"gtn", "gtn_improvement", "gtn_untrained"})
"""Proxies that need a teacher."""

SIZES = ("params", "flops", "depth")
"""Columns that every candidate has."""

NAMES = (*TRAINED, *ZERO_COST)
"""All proxies, which are computed while a worker has a candidate at hand."""

COLUMNS = (*(c for columns in TRAINED.values() for c in columns), *ZERO_COST, *SIZES)
"""All columns that an evaluation fills."""

LATENCY = "latency"
"""What can be asked for beside them: a pass of its own, on a worker without busy neighbours."""

LATENCY_MS = "latency_ms"
"""Its column."""


def known(names: Iterable[str], among: Collection[str] = (*NAMES, LATENCY)) -> list[str]:
    """Return the names, each once.

    Raises:
        UnknownNameError: there is no proxy of a name.
    """
    once = list(dict.fromkeys(names))
    for name in once:
        if name not in among:
            raise UnknownNameError("proxy", name, among)
    return once


def proxies_of(columns: Iterable[str]) -> list[str]:
    """Return what fills some columns; sizes, and times, need none."""
    filled = {c: name for name in NAMES for c in TRAINED.get(name, (name,))}
    filled[LATENCY_MS] = LATENCY
    return known(filled[c] for c in columns if c in filled)
