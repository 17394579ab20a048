"""Are the workers busy? Utilisation in the proxy stage, and the overhead of a candidate.

Utilisation: time inside candidates, divided by workers times wall time, from when the last worker
finished its first candidate until the first worker ran out of work. Overhead: wall time of a
candidate that does nothing, through the whole loop (strategy, Ray, record on the disk), beside the
same loop inline. Run with ``python -m experiments.bench_workers``.
"""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

from experiments.common import machine, markdown
from gtn_nas.config import SearchConfig
from gtn_nas.controller import Controller
from gtn_nas.executors import InlineExecutor, RayExecutor, connect
from gtn_nas.executors.base import Arrays, EvaluatorFactory, Executor
from gtn_nas.preparation import prepare
from gtn_nas.results.store import RunStore
from gtn_nas.spaces import get_space
from gtn_nas.strategies.random_search import RandomSearch
from gtn_nas.trial import Evaluate, Record, Status, Trial

WORKERS = 2
CANDIDATES = 200
NO_OPS = 2000
REPEATS = 3


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
            return replace(record, extra={"began": began, "ended": time.time()})

        return timed


class NoOp:
    """Makes candidates that cost nothing."""

    def __call__(self, arrays: Arrays) -> Evaluate:
        """Make the function that does nothing."""
        return lambda trial: Record.of(trial, Status.OK, proxy_accuracy=0.5, proxy_loss=1.0)


def search(executor: Executor, candidates: int) -> tuple[list[Record], float]:
    """Run the loop and return the records and the seconds from the first record to the last."""
    space = get_space("conv_chain")
    with tempfile.TemporaryDirectory() as place, RunStore.create(Path(place) / "run", "") as store:
        strategy = RandomSearch(space, 32, seed=0)
        controller = Controller(
            strategy, executor, store, seed=0, evaluation_id="bench", candidates=candidates
        )
        records, started = [], 0.0
        for record in controller.run():
            started = started or time.perf_counter()
            records.append(record)
        return records, time.perf_counter() - started


def utilisation(records: list[Record]) -> float:
    """Return the share (0-1) of the workers' time that was inside candidates."""
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
    return sum(inside) / (len(spans) * (end - begin))


def main() -> None:
    """Measure and print both."""
    config = SearchConfig()
    evaluation = prepare(config, config.proxies)
    rows: list[list[object]] = []
    with connect("local", num_cpus=WORKERS):
        for _ in range(REPEATS):
            factory = Timed(evaluation.factory())
            with RayExecutor(factory, evaluation.arrays(), workers=WORKERS) as executor:
                records, wall_s = search(executor, CANDIDATES)
            with RayExecutor(NoOp(), {}, workers=WORKERS) as executor:
                _, ray_s = search(executor, NO_OPS)
            with InlineExecutor(NoOp(), {}) as executor:
                _, inline_s = search(executor, NO_OPS)
            per_s = (CANDIDATES - 1) / wall_s
            overheads = [f"{1000 * s / (NO_OPS - 1):.2f} ms" for s in (ray_s, inline_s)]
            rows.append([f"{utilisation(records):.1%}", f"{per_s:.1f}", *overheads])
    print(machine(), f"{WORKERS} Ray workers of one thread")
    columns = ["utilisation", "candidates per second", "no-op by Ray", "no-op inline"]
    print(markdown(columns, rows))


if __name__ == "__main__":
    main()
