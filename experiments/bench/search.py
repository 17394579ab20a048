"""How much time and memory does a default search take, and how accurate is its winner?

Runs ``gtn-nas search`` (digits, 200 candidates, top 3) as its own process for each of five seeds,
and measures the memory of the whole process tree. Run with ``python -m experiments.bench.search``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil

from experiments.shared.arguments import parser
from experiments.shared.machine import machine
from experiments.shared.tables import Table, markdown
from gtn_nas.results.query import load_run

SEEDS = range(5)
SAMPLE_S = 0.25
COMMAND = [sys.executable, "-c", "from gtn_nas.cli.main import main; main()", "search"]


def memory_mb(root: psutil.Process) -> float:
    """Return the memory of a process and all its descendants in MB.

    It is the sum of their proportional set sizes, so that shared pages count only once.
    """
    total = 0
    with suppress(psutil.NoSuchProcess):  # the process has just ended
        for process in [root, *root.children(recursive=True)]:
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
    return total / 1e6


def measure(seed: int, folder: Path) -> dict[str, object]:
    """Run one search and return its row of the table."""
    started, peak_mb = time.perf_counter(), 0.0
    process = subprocess.Popen(
        [*COMMAND, "--seed", str(seed), "--out", str(folder)], stdout=subprocess.DEVNULL
    )
    while process.poll() is None:
        peak_mb = max(peak_mb, memory_mb(psutil.Process(process.pid)))
        time.sleep(SAMPLE_S)
    wall_s = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"the search of seed {seed} ended with {process.returncode}")
    run = load_run(folder)
    winner = run.winner
    if winner is None:
        raise SystemExit(f"the search of seed {seed} trained no network to its end")
    (count,) = run.sql("SELECT count(*) AS ok FROM candidates WHERE status = 'ok'")
    return {
        "seed": seed,
        "wall_s": round(wall_s, 1),
        "peak_mb": round(peak_mb),
        "candidates_ok": count["ok"],
        "winner": winner["key"],
        "winner_test_accuracy": winner["test_accuracy"],
    }


def main() -> None:
    """Measure every seed that is not in the table yet, and print the table."""
    parser(__doc__).parse_args()
    table = Table("bench_search")
    with tempfile.TemporaryDirectory() as place:
        for seed in SEEDS:
            if not table.has(seed=seed):
                table.add(measure(seed, Path(place) / str(seed)))
    print(machine())
    print(markdown(list(table.rows[0]), [list(row.values()) for row in table.rows]))
    accuracies = [float(row["winner_test_accuracy"]) for row in table.rows]
    slowest = max(float(row["wall_s"]) for row in table.rows)
    largest = max(float(row["peak_mb"]) for row in table.rows)
    print(
        f"\nwinner's test accuracy {np.mean(accuracies):.2%} in the mean (sd "
        f"{np.std(accuracies, ddof=1):.2%}); slowest {slowest:.0f} s; largest {largest:.0f} MB"
    )


if __name__ == "__main__":
    main()
