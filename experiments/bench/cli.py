"""How long do the quick commands take, compared with a Python process that does nothing?

Run with ``python -m experiments.bench.cli``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from experiments.shared.arguments import parser
from experiments.shared.machine import machine
from experiments.shared.tables import Table, markdown
from gtn_nas.ranking.goals import Goals
from gtn_nas.results.store import RunStore
from gtn_nas.searching.steering import strategy_context
from gtn_nas.spaces import get_space
from gtn_nas.strategies.random_search import RandomSearch
from gtn_nas.trial import Record, Status

CANDIDATES = 1000
REPEATS = 10
MAIN = "from gtn_nas.cli.main import main; main()"


def write_run(folder: Path) -> None:
    """Write a run of 1,000 candidates with random scores."""
    rng = np.random.default_rng(0)
    goals = Goals.parse("proxy_accuracy", [], [])
    context = strategy_context(get_space("conv_chain"), 32, 0, goals)
    trials = RandomSearch(context).ask(CANDIDATES)
    with RunStore.create(folder, "rank_by: proxy_accuracy\n") as store:
        for index, trial in enumerate(trials):
            score = float(rng.random())
            size = int(rng.integers(10_000, 100_000))
            record = Record.of(
                trial,
                Status.OK,
                proxy_accuracy=score,
                proxy_loss=1 - score,
                params=size,
                flops=30 * size,
                tell_index=index,
            )
            store.append_candidates([record])


def seconds(arguments: list[str]) -> float:
    """Return the wall time of one Python process in seconds."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    """Time the commands in turn, so that other load on the machine affects all of them alike."""
    parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "run"
        write_run(run)
        commands = {
            "python that does nothing": ["-c", "pass"],
            "gtn-nas --help": ["-c", MAIN, "--help"],
            "gtn-nas query RUN --top 10": ["-c", MAIN, "query", str(run), "--top", "10"],
            'gtn-nas query RUN --where "params < 50000" --format json': [
                *("-c", MAIN, "query", str(run)),
                *("--where", "params < 50000", "--format", "json"),
            ],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(REPEATS):
            for name, arguments in commands.items():
                times[name].append(seconds(arguments))
    nothing = float(np.median(times["python that does nothing"]))
    table, rows = Table("bench_cli"), []
    for name, times_s in times.items():
        middle, slowest = float(np.median(times_s)), max(times_s)
        row = {"command": name, "median_s": round(middle, 2), "slowest_s": round(slowest, 2)}
        table.replace([row], command=name)
        rows.append([name, f"{middle:.2f} s", f"{slowest:.2f} s", f"{middle / nothing:.0f} x"])
    print(machine(), f"{CANDIDATES} candidates, {REPEATS} times each")
    print(markdown(["command", "median", "slowest", "of a Python that does nothing"], rows))


if __name__ == "__main__":
    main()
