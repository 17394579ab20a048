"""What does the search loop cost on many workers? Simulated: candidates sleep or do nothing.

Four raylets on this machine pretend to have 16 CPUs each. Every arm is its own driver process that
joins them, so that its memory is measured alone, and runs the whole loop: strategy, Ray, records on
the disk. Workers need no torch, and each record tells whether its worker has imported it.

- no-op: wall time of a candidate that does nothing, on 1 to 64 workers (goal: 2 ms at most).
- asleep: utilisation with candidates that sleep 0.3 s, on 1 to 64 workers (goal: 90 % with 64).
- at work: utilisation with candidates that keep their CPU busy, on two workers of a private Ray
  (goal: 95 %).
- memory: the driver's resident set after a tenth of all no-op candidates and after all of them. The
  driver keeps their records.
- Tune: time of a Ray Tune trial that does nothing, two at once, with new and with reused actors.

Run with ``python -m experiments.bench.scale [--budget small|full]``; started again after an
interruption, it measures only what is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import get_args

import psutil

from experiments.shared.arguments import Budget, parser
from experiments.shared.toy_search import Idle, Timed, search, timed_search, utilisation
from gtn_nas.executors import RayExecutor, connect

NODES, CPUS = 4, 16
NAP_S = 0.3
WORKERS = {"small": (2, 16), "full": (1, 2, 4, 8, 16, 32, 64)}
NO_OPS = {"small": 2_000, "full": 20_000}
NAPS_EACH = {"small": 20, "full": 40}
MANY = {"small": 10_000, "full": 100_000}
TRIALS = {"small": 8, "full": 40}

Row = dict[str, object]


def no_ops(address: str, workers: int, budget: Budget) -> Row:
    """Return a row with the milliseconds of a candidate that does nothing.

    Raises:
        SystemExit: a worker imported torch.
    """
    count = NO_OPS[budget]
    with connect(address), RayExecutor(Idle(), {}, workers=workers) as executor:
        records, wall_s = timed_search(executor, count)
    if any(record.extra["torch"] for record in records):
        raise SystemExit("a worker imported torch, which it does not need")
    return {"candidates": count, "ms_each": round(1000 * wall_s / (count - 1), 2)}


def naps(address: str, workers: int, budget: Budget) -> Row:
    """Return a row with the utilisation of workers on simulated CPUs, whose candidates sleep."""
    return _occupied(Idle(NAP_S), address, workers, budget)


def works(address: str, workers: int, budget: Budget) -> Row:
    """Return a row with the utilisation of a private Ray, whose candidates keep a CPU busy."""
    return _occupied(Idle(NAP_S, works=True), "local", workers, budget)


def memory(address: str, workers: int, budget: Budget) -> Row:
    """Return a row with the driver's memory in MB after a tenth of the candidates and after all."""
    count, sizes = MANY[budget], []
    started = time.perf_counter()
    with connect(address), RayExecutor(Idle(), {}, workers=workers) as executor:
        for told, _ in enumerate(search(executor, count), start=1):
            if told % (count // 10) == 0:
                sizes.append(resident_mb())
    return {
        "candidates": count,
        "ms_each": round(1000 * (time.perf_counter() - started) / count, 2),
        "mb_after_a_tenth": round(sizes[0]),
        "mb_after_all": round(sizes[-1]),
        "mb_at_most": round(max(sizes)),
    }


def tune_fresh(address: str, workers: int, budget: Budget) -> Row:
    """Return a row with the milliseconds of a Tune trial that does nothing, in a new actor."""
    return _tune(address, workers, budget, reuse=False)


def tune_reused(address: str, workers: int, budget: Budget) -> Row:
    """Return a row with the milliseconds of a Tune trial that does nothing, in a reused actor."""
    return _tune(address, workers, budget, reuse=True)


ARMS: dict[str, Callable[[str, int, Budget], Row]] = {
    "no-op": no_ops,
    "asleep": naps,
    "at work": works,
    "memory": memory,
    "Tune": tune_fresh,
    "Tune, actors reused": tune_reused,
}


def _occupied(factory: Idle, address: str, workers: int, budget: Budget) -> Row:
    count = workers * NAPS_EACH[budget]
    with connect(address), RayExecutor(Timed(factory), {}, workers=workers) as executor:
        records, _ = timed_search(executor, count)
    share, per_s = utilisation(records)
    return {"candidates": count, "per_s": round(per_s, 1), "utilisation": round(share, 4)}


def _tune(address: str, workers: int, budget: Budget, reuse: bool) -> Row:
    from ray import tune

    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"

    def no_op(config: dict[str, int]) -> None:
        tune.report({"score": 0.5})

    count = TRIALS[budget]
    with connect(address), tempfile.TemporaryDirectory() as place:
        tuner = tune.Tuner(
            no_op,
            param_space={"candidate": tune.grid_search(list(range(count)))},
            tune_config=tune.TuneConfig(reuse_actors=reuse, max_concurrent_trials=workers),
            run_config=tune.RunConfig(storage_path=place, verbose=0),
        )
        started = time.perf_counter()
        tuner.fit()
        wall_s = time.perf_counter() - started
    return {"candidates": count, "ms_each": round(1000 * wall_s / count)}


def resident_mb() -> float:
    """Return the resident set size of this process in MB."""
    return float(psutil.Process().memory_info().rss) / 1e6


def run_arm(arm: str, workers: int, budget: Budget, address: str) -> Row:
    """Run an arm in a new process, and return its row, which is the last line of its output."""
    command = [sys.executable, "-m", "experiments.bench.scale", "--budget", budget]
    command += ["--arm", arm, "--workers", str(workers), "--address", address]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: Row = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure every arm that is not in the table yet, and print the table."""
    parsed = parser(__doc__)
    parsed.add_argument("--budget", choices=get_args(Budget), default="small")
    for hidden in ("--arm", "--workers", "--address"):
        parsed.add_argument(hidden, help=argparse.SUPPRESS)
    options = parsed.parse_args()
    if options.arm:
        row = ARMS[options.arm](options.address, int(options.workers), options.budget)
        print(json.dumps(row))
        return
    measure(options.budget)


def measure(budget: Budget) -> None:
    """Measure the missing arms on a simulated cluster, and print the table."""
    from ray.cluster_utils import Cluster

    # Imported here because they import torch, which would count as memory of the arms' drivers.
    from experiments.shared.machine import machine
    from experiments.shared.tables import Table, markdown

    sizes = WORKERS[budget]
    arms = [("no-op", n) for n in sizes] + [("asleep", n) for n in sizes]
    arms += [("at work", 2), ("memory", CPUS), ("Tune", 2), ("Tune, actors reused", 2)]
    table = Table("bench_scale")
    missing = [a for a in arms if not table.has(budget=budget, arm=a[0], workers=a[1])]
    if missing:
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": CPUS})
        try:
            for _ in range(NODES - 1):
                cluster.add_node(num_cpus=CPUS)
            for arm, workers in missing:
                found = run_arm(arm, workers, budget, cluster.address)
                empty = dict.fromkeys(COLUMNS, "")
                about = {"budget": budget, "arm": arm, "workers": workers}
                table.add(about | empty | found | {"load": f"{os.getloadavg()[1]:.1f}"})
        finally:
            cluster.shutdown()
    print(machine(), f"{NODES} raylets with {CPUS} pretended CPUs each")
    rows = [list(row.values()) for row in table.rows if row["budget"] == budget]
    print(markdown(list(table.rows[0]), rows))


COLUMNS = (
    "candidates",
    "ms_each",
    "per_s",
    "utilisation",
    "mb_after_a_tenth",
    "mb_after_all",
    "mb_at_most",
)
"""Columns of measurements; each arm leaves some of them empty."""


if __name__ == "__main__":
    main()
