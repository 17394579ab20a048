"""Are the workers busy? Utilisation in the proxy stage, and the overhead of a candidate.

Utilisation is the time inside candidates divided by the number of workers times the wall time. It
is measured from when the last worker has finished its first candidate until the first worker has
finished its last one. Overhead is the wall time of a candidate that does nothing, in the whole loop
(strategy, executor, records on the disk), with Ray workers and inline. Run with ``python -m
experiments.bench.workers``.
"""

from __future__ import annotations

from experiments.shared.arguments import parser
from experiments.shared.machine import machine
from experiments.shared.tables import Table, markdown
from experiments.shared.toy_search import Idle, Timed, timed_search, utilisation
from gtn_nas.config.search import SearchConfig
from gtn_nas.executors import InlineExecutor, RayExecutor, connect
from gtn_nas.searching.evaluation import prepare

WORKERS = 2
CANDIDATES = 200
NO_OPS = 2000
REPEATS = 3


def main() -> None:
    """Measure utilisation and overhead, and print the table."""
    parser(__doc__).parse_args()
    evaluation = prepare(SearchConfig())
    table, rows = Table("bench_workers"), []
    with connect("local", num_cpus=WORKERS):
        for repetition in range(REPEATS):
            factory = Timed(evaluation.factory())
            with RayExecutor(factory, evaluation.arrays(), workers=WORKERS) as executor:
                records, _ = timed_search(executor, CANDIDATES)
            with RayExecutor(Idle(), {}, workers=WORKERS) as executor:
                _, ray_s = timed_search(executor, NO_OPS)
            with InlineExecutor(Idle(), {}) as executor:
                _, inline_s = timed_search(executor, NO_OPS)
            share, per_s = utilisation(records)
            ray_ms, inline_ms = (1000 * s / (NO_OPS - 1) for s in (ray_s, inline_s))
            row = {
                "repetition": repetition,
                "utilisation": round(share, 3),
                "per_s": round(per_s, 1),
                "ray_ms": round(ray_ms, 2),
                "inline_ms": round(inline_ms, 2),
            }
            table.replace([row], repetition=repetition)
            overheads = [f"{ms:.2f} ms" for ms in (ray_ms, inline_ms)]
            rows.append([f"{share:.1%}", f"{per_s:.1f}", *overheads])
    print(machine(), f"{WORKERS} Ray workers of one thread")
    columns = ["utilisation", "candidates per second", "no-op by Ray", "no-op inline"]
    print(markdown(columns, rows))


if __name__ == "__main__":
    main()
