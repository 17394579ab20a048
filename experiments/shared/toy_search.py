"""Searches for the benchmarks of workers, whose candidates do nothing or take a given time.

Nothing here imports torch, so that workers need not import it either.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from gtn_nas.executors.base import EvaluatorFactory, Executor
from gtn_nas.ranking.goals import Goals
from gtn_nas.results.store import RunStore
from gtn_nas.searching.controller import Controller
from gtn_nas.searching.steering import strategy_context
from gtn_nas.spaces import get_space
from gtn_nas.strategies.random_search import RandomSearch
from gtn_nas.trial import Arrays, Evaluate, Record, Status, Trial


@dataclass(frozen=True)
class Timed:
    """Wraps a factory, so that records tell when their candidate began and ended."""

    factory: EvaluatorFactory

    def __call__(self, arrays: Arrays) -> Evaluate:
        """Return the function that evaluates a trial and adds the times to its record."""
        evaluate = self.factory(arrays)

        def timed(trial: Trial) -> Record:
            began = time.time()
            record = evaluate(trial)
            return replace(record, extra={**record.extra, "began": began, "ended": time.time()})

        return timed


@dataclass(frozen=True)
class Idle:
    """Makes an evaluator that waits or keeps its CPU busy, instead of scoring a network.

    Its records tell whether the worker has imported torch.

    Attributes:
        seconds: how long one candidate takes.
        works: whether the evaluator keeps its CPU busy; otherwise it sleeps.
    """

    seconds: float = 0.0
    works: bool = False

    def __call__(self, arrays: Arrays) -> Evaluate:
        """Return the function that evaluates a trial."""

        def evaluate(trial: Trial) -> Record:
            until = time.perf_counter() + self.seconds
            if self.seconds and not self.works:
                time.sleep(self.seconds)
            while time.perf_counter() < until:
                pass
            torch = float("torch" in sys.modules)
            scores = {"proxy_accuracy": 0.5, "proxy_loss": 1.0}
            return Record.of(trial, Status.OK, **scores, extra={"torch": torch})

        return evaluate


def search(executor: Executor, candidates: int) -> Iterator[Record]:
    """Run a whole search (strategy, executor, records on the disk) in a temporary folder."""
    goals = Goals.parse("proxy_accuracy", [], [])
    context = strategy_context(get_space("conv_chain"), 32, 0, goals)
    with tempfile.TemporaryDirectory() as place, RunStore.create(Path(place) / "run", "") as store:
        strategy = RandomSearch(context)
        controller = Controller(
            strategy, executor, store, seed=0, evaluation_id="bench", candidates=candidates
        )
        yield from controller.run()


def timed_search(executor: Executor, candidates: int) -> tuple[list[Record], float]:
    """Run a search; return its records, and the seconds from the first record to the last."""
    records, started = [], 0.0
    for record in search(executor, candidates):
        started = started or time.perf_counter()
        records.append(record)
    return records, time.perf_counter() - started


def utilisation(records: Iterable[Record]) -> tuple[float, float]:
    """Return the share (0-1) of the workers' time inside candidates, and candidates per second.

    Both are measured from when the last worker has finished its first candidate until the first
    worker has finished its last one.

    Args:
        records: the records of evaluators wrapped by ``Timed``.
    """
    spans = defaultdict(list)
    for record in records:
        spans[record.worker].append((record.extra["began"], record.extra["ended"]))
    begin = max(min(ended for _, ended in worker) for worker in spans.values())
    end = min(max(ended for _, ended in worker) for worker in spans.values())
    inside = [
        max(0.0, min(ended, end) - max(began, begin))
        for worker in spans.values()
        for began, ended in worker
    ]
    done = sum(begin < ended <= end for worker in spans.values() for _, ended in worker)
    return sum(inside) / (len(spans) * (end - begin)), done / (end - begin)
