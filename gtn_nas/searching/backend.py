"""Where a search is computed: its connection to Ray, and the workers that it asks for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gtn_nas.config.search import SearchConfig
from gtn_nas.executors import EvaluatorFactory, Executor, InlineExecutor
from gtn_nas.trial import Arrays


@contextmanager
def connected(config: SearchConfig) -> Iterator[str | None]:
    """Be connected to Ray, where the executor needs it; return its dashboard's address, if any."""
    if config.executor == "inline":
        yield None
        return
    from gtn_nas.executors import connect

    with connect(config.address) as dashboard:
        yield dashboard


def make_executor(
    config: SearchConfig, factory: EvaluatorFactory, arrays: Arrays, *, workers: int | None = None
) -> Executor:
    """Start the executor that a configuration names.

    Args:
        config: kind of executor, size of a worker, and deadline.
        factory: makes the function that each worker evaluates trials with.
        arrays: what the factory gets.
        workers: how many, where there can be several; by default what the configuration says.
    """
    if config.executor == "inline":
        threads = max(int(config.cpus_per_worker), 1)
        return InlineExecutor(factory, arrays, config.timeout_s, threads)
    from gtn_nas.executors import RayExecutor

    return RayExecutor(
        factory,
        arrays,
        workers=workers or config.workers,
        min_workers=None if workers else config.min_workers,
        max_workers=None if workers else config.max_workers,
        cpus_per_worker=config.cpus_per_worker,
        gpus_per_worker=config.gpus_per_worker,
        timeout_s=config.timeout_s,
    )
