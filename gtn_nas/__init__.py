"""Neural architecture search with a Generative Teaching Network as its proxy evaluator.

The public names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gtn_nas.architecture import Architecture
    from gtn_nas.config.pretrain import PretrainConfig
    from gtn_nas.config.search import SearchConfig
    from gtn_nas.errors import GtnNasError
    from gtn_nas.pretraining.pretraining import Pretraining
    from gtn_nas.results.query import Run, load_run, load_runs
    from gtn_nas.results.reader import Runs
    from gtn_nas.searching.search import SearchResult, search
    from gtn_nas.spaces.base import SearchSpace
    from gtn_nas.strategies.base import Strategy, StrategyContext
    from gtn_nas.trial import Record, Trial

__version__ = "0.1.0"

__all__ = [
    "Architecture",
    "GtnNasError",
    "PretrainConfig",
    "Pretraining",
    "Record",
    "Run",
    "Runs",
    "SearchConfig",
    "SearchResult",
    "SearchSpace",
    "Strategy",
    "StrategyContext",
    "Trial",
    "load_run",
    "load_runs",
    "search",
]

_MODULES = {
    "Architecture": "architecture",
    "GtnNasError": "errors",
    "PretrainConfig": "config.pretrain",
    "Pretraining": "pretraining.pretraining",
    "Record": "trial",
    "Run": "results.query",
    "Runs": "results.reader",
    "SearchConfig": "config.search",
    "SearchResult": "searching.search",
    "SearchSpace": "spaces.base",
    "Strategy": "strategies.base",
    "StrategyContext": "strategies.base",
    "Trial": "trial",
    "load_run": "results.query",
    "load_runs": "results.query",
    "search": "searching.search",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
