"""Whole searches of candidates that need no torch: they do nothing, or take a given time.

What benchmarks of workers share; nothing here imports torch, so that workers need not.
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
    """Wraps a factory: records say when their candidate began and ended."""

    factory: EvaluatorFactory

    def __call__(self, arrays: Arrays) -> Evaluate:
        """Make the function that scores and times."""
        evaluate = self.factory(arrays)

        def timed(trial: Trial) -> Record:
            began = time.time()
            record = evaluate(trial)
            return replace(record, extra={**record.extra, "began": began, "ended": time.time()})

        return timed


@dataclass(frozen=True)
class Idle:
    """Makes candidates that take a time, asleep or at work, and tell whether torch was imported.

    Attributes:
        seconds: how long one takes.
        works: whether it keeps its CPU busy meanwhile.
    """

    seconds: float = 0.0
    works: bool = False

    def __call__(self, arrays: Arrays) -> Evaluate:
        """Make the function that does as good as nothing."""

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
    """Run the whole loop (strategy, executor, record on the disk) in a folder that goes."""
    goals = Goals.parse("proxy_accuracy", [], [])
    context = strategy_context(get_space("conv_chain"), 32, 0, goals)
    with tempfile.TemporaryDirectory() as place, RunStore.create(Path(place) / "run", "") as store:
        strategy = RandomSearch(context)
        controller = Controller(
            strategy, executor, store, seed=0, evaluation_id="bench", candidates=candidates
        )
        yield from controller.run()


def timed_search(executor: Executor, candidates: int) -> tuple[list[Record], float]:
    """Run the loop and return the records and the seconds from the first record to the last."""
    records, started = [], 0.0
    for record in search(executor, candidates):
        started = started or time.perf_counter()
        records.append(record)
    return records, time.perf_counter() - started


def utilisation(records: Iterable[Record]) -> tuple[float, float]:
    """Return the share (0-1) of the workers' time that was inside candidates, and those per second.

    From when the last worker finished its first candidate until the first ran out of work.
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
