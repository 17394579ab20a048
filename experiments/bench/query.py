"""How much time and memory does a process of ``gtn-nas query`` take on large runs?

A run has 1,000,000 candidates in 500 part files. Its rows are like those of a default search of
``conv_chain`` (architectures, columns of the proxies, ranking), with random scores. Goal: ``gtn-nas
query RUN --top 10 --where "params < 50000"`` takes at most 1 s and 1 GB, also on ten runs with as
many candidates together. The column ``load`` is the machine's load average over five minutes.

Run with ``python -m experiments.bench.query [--budget small|full]``; ``small`` has a tenth of the
candidates.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa

from experiments.shared.arguments import Budget, parser
from experiments.shared.machine import machine
from experiments.shared.tables import Table, markdown
from gtn_nas.config.search import SearchConfig
from gtn_nas.config.yaml_file import to_yaml
from gtn_nas.ranking.goals import Goals
from gtn_nas.results.layout import next_part
from gtn_nas.results.parts import to_table, write_part
from gtn_nas.results.store import RunStore
from gtn_nas.searching.steering import strategy_context
from gtn_nas.spaces import get_space
from gtn_nas.strategies.random_search import RandomSearch
from gtn_nas.trial import Record, Status

ROWS_OF_A_PART = 2_000
PARTS = {"small": 50, "full": 500}
RUNS = 10
REPEATS = 5
START = datetime(2026, 1, 1, tzinfo=UTC)
TOP = ["--top", "10"]
SMALL_ONES = ["--where", "params < 50000"]
BY_ONE = ["--sort", "proxy_accuracy DESC"]

MEASURED = """
import json, os, resource, subprocess, sys, time
started = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE)
wall_s = time.perf_counter() - started
used = resource.getrusage(resource.RUSAGE_CHILDREN)
cpu_s = used.ru_utime + used.ru_stime
print(json.dumps([wall_s, cpu_s, used.ru_maxrss, done.stdout.count(b"\\n")]))
"""
"""Runs one command; prints its wall time, CPU time, peak resident set and lines of output."""


def write_run(folder: Path, parts: int, seed: int) -> None:
    """Write a run with random scores, whose rows are otherwise like those of a search."""
    rng = np.random.default_rng(seed)
    config = SearchConfig(candidates=parts * ROWS_OF_A_PART)
    pattern = _pattern()
    with RunStore.create(folder, to_yaml(config)) as store:
        for part in range(parts):
            table = _varied(pattern, part * ROWS_OF_A_PART, store.run, rng)
            write_part(next_part(folder, "candidates"), table)


def _pattern() -> Any:
    """Return the rows of one part file as a search of ``conv_chain`` records them."""
    goals = Goals.parse("proxy_accuracy", [], [])
    context = strategy_context(get_space("conv_chain"), 32, 0, goals)
    trials = RandomSearch(context).ask(ROWS_OF_A_PART)
    records = [
        Record.of(
            trial,
            Status.OK,
            depth=4,
            train_s=0.1,
            eval_s=0.01,
            worker=f"worker-{index % 64}",
            node=f"node-{index % 8}",
            device="cpu",
            threads=1,
            torch_version="2.13.0",
            extra=dict.fromkeys(("gtn_drop", "gtn_s", "jacob_cov", "zero_cost_s"), 0.0),
        )
        for index, trial in enumerate(trials)
    ]
    return to_table(records, "run")


def _varied(table: Any, start: int, run: str, rng: np.random.Generator) -> Any:
    """Return a part file's rows with new keys, indices, scores, sizes and times.

    Args:
        table: rows to vary.
        start: index of the first row in its run.
        run: name of the run.
        rng: source of the random values.
    """
    count = len(table)
    places = np.arange(start, start + count)
    score = rng.random(count)
    params = rng.integers(5_000, 150_000, count)
    moments = [START + timedelta(seconds=float(place) / 10) for place in places]
    columns = {
        "run": [run] * count,
        "key": [key.tobytes().hex() for key in rng.integers(0, 2**63, count)],
        "ask_index": places,
        "tell_index": places,
        "seed": rng.integers(0, 2**31, count),
        "evaluation_id": ["6e615157f08d7f80"] * count,
        "proxy_accuracy": score,
        "proxy_loss": 1 - score,
        "params": params,
        "flops": 30 * params,
        "train_s": 0.1 * rng.random(count),
        "gtn_s": 0.1 * rng.random(count),
        "gtn_drop": rng.random(count),
        "jacob_cov": -100 * rng.random(count),
        "created_at": moments,
    }
    for name, values in columns.items():
        place = table.column_names.index(name)
        kind = table.schema.field(name).type
        table = table.set_column(place, name, pa.array(values, kind))
    return table


def measured(*arguments: str) -> tuple[float, float, float, bool]:
    """Run one query; return its wall and CPU seconds, peak memory in MB, and whether it answered.

    A query that needs more memory than allowed prints one line instead of an answer.
    """
    main = [sys.executable, "-c", "from gtn_nas.cli.main import main; main()"]
    command = [sys.executable, "-c", MEASURED, *main, "query", *arguments]
    said = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    wall_s, cpu_s, peak_kib, lines = json.loads(said)
    return wall_s, cpu_s, peak_kib * 1024 / 1e6, lines > 1


def _times(arm: str) -> int:
    """Return the number of candidates of an arm's runs, as a multiple of one run's."""
    return RUNS if arm.endswith("as large") else 1


def main() -> None:
    """Write the runs, measure every query in turn, and print the table."""
    asked = parser(__doc__)
    asked.add_argument("--budget", choices=get_args(Budget), default="small")
    budget = asked.parse_args().budget
    parts = PARTS[budget]
    with tempfile.TemporaryDirectory() as place:
        write_run(Path(place) / "run", parts, seed=0)
        for index in range(RUNS):
            write_run(Path(place) / "tenths" / f"run-{index}", parts // RUNS, seed=1 + index)
            # Ten copies of one run: runs are read separately, so equal rows cost the same time.
            shutil.copytree(Path(place) / "run", Path(place) / "whole" / f"run-{index}")
        compacted = Path(shutil.copytree(Path(place) / "run", Path(place) / "compacted"))
        with RunStore.open(compacted) as store:
            store.compact()
        one, tenths, whole = (str(Path(place) / name) for name in ("run", "tenths/*", "whole/*"))
        arms = {
            "1 run": [one, *TOP, *SMALL_ONES],
            "1 run, without a condition": [one, *TOP],
            "1 run, by one column": [one, *TOP, *SMALL_ONES, *BY_ONE],
            "1 run, front": [one, *SMALL_ONES, "--pareto", "proxy_accuracy,params"],
            "1 run, compacted": [str(compacted), *TOP, *SMALL_ONES],
            "1 run, SQL": [one, "--sql", "SELECT median(params) FROM candidates"],
            "10 runs of a tenth": [tenths, *TOP, *SMALL_ONES],
            "10 runs as large": [whole, *TOP, *SMALL_ONES],
            "10 runs, by one column, as large": [whole, *TOP, *SMALL_ONES, *BY_ONE],
        }
        found: dict[str, list[tuple[float, float, float, bool]]] = {arm: [] for arm in arms}
        for _ in range(REPEATS):
            for arm, arguments in arms.items():
                found[arm].append(measured(*arguments))
    table = Table("bench_query")
    for arm, runs in found.items():
        times_s, cpus_s, peaks_mb, answered = zip(*runs, strict=True)
        row = {
            "budget": budget,
            "arm": arm,
            "candidates": parts * ROWS_OF_A_PART * _times(arm),
            "parts": 1 if arm.endswith("compacted") else parts * _times(arm),
            "median_s": round(float(np.median(times_s)), 2),
            "fastest_s": round(min(times_s), 2),
            "slowest_s": round(max(times_s), 2),
            "cpu_s": round(float(np.median(cpus_s)), 2),
            "peak_mb": round(max(peaks_mb)),
            "answered": all(answered),
            "load": f"{os.getloadavg()[1]:.1f}",
        }
        table.replace([row], budget=budget, arm=arm)
    print(machine(), f"{REPEATS} times each")
    rows = [list(row.values()) for row in table.rows if row["budget"] == budget]
    print(markdown(list(table.rows[0]), rows))


if __name__ == "__main__":
    main()
