"""Are the workers busy? Utilisation in the proxy stage, and the overhead of a candidate.

Utilisation: time inside candidates, divided by workers times wall time, from when the last worker
finished its first candidate until the first worker ran out of work. Overhead: wall time of a
candidate that does nothing, through the whole loop (strategy, Ray, record on the disk), beside the
same loop inline. Run with ``python -m experiments.bench.workers``.
"""

from __future__ import annotations

from experiments.shared.common import machine, markdown
from experiments.shared.toy_search import Idle, Timed, timed_search, utilisation
from gtn_nas.config.search import SearchConfig
from gtn_nas.executors import InlineExecutor, RayExecutor, connect
from gtn_nas.searching.evaluation import prepare

WORKERS = 2
CANDIDATES = 200
NO_OPS = 2000
REPEATS = 3


def main() -> None:
    """Measure and print both."""
    evaluation = prepare(SearchConfig())
    rows: list[list[object]] = []
    with connect("local", num_cpus=WORKERS):
        for _ in range(REPEATS):
            factory = Timed(evaluation.factory())
            with RayExecutor(factory, evaluation.arrays(), workers=WORKERS) as executor:
                records, _ = timed_search(executor, CANDIDATES)
            with RayExecutor(Idle(), {}, workers=WORKERS) as executor:
                _, ray_s = timed_search(executor, NO_OPS)
            with InlineExecutor(Idle(), {}) as executor:
                _, inline_s = timed_search(executor, NO_OPS)
            share, per_s = utilisation(records)
            overheads = [f"{1000 * s / (NO_OPS - 1):.2f} ms" for s in (ray_s, inline_s)]
            rows.append([f"{share:.1%}", f"{per_s:.1f}", *overheads])
    print(machine(), f"{WORKERS} Ray workers of one thread")
    columns = ["utilisation", "candidates per second", "no-op by Ray", "no-op inline"]
    print(markdown(columns, rows))


if __name__ == "__main__":
    main()
