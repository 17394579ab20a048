"""How long does a report of 5,000 candidates take, how large is it, and how fast is its page?

A run of random candidates with plausible scores is written. ``gtn-nas report`` runs on it as its
own process, and Chromium opens the page. ``interactive_s`` is the time from the start of loading
until the table and the figures are drawn; ``sort_ms`` and ``filter_ms`` are the times from a click
and from typing a letter until the page is drawn again. All times are medians of five. Run with
``python -m experiments.bench.report``.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from experiments.shared.arguments import parser
from experiments.shared.machine import machine
from experiments.shared.tables import Table, markdown
from gtn_nas.architecture import Architecture
from gtn_nas.config.search import SearchConfig
from gtn_nas.config.yaml_file import to_yaml
from gtn_nas.results.store import RunStore
from gtn_nas.spaces import get_space
from gtn_nas.trial import Final, Record, Status, Trial

COUNT = 5_000
FINALS = 50
EPOCHS = 60
WORKERS = 16
APART_S = 0.03
REPEATS = 5
SPACES = ("conv_chain", "nao_cells")
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
COMMAND = [sys.executable, "-c", "from gtn_nas.cli.main import main; main()", "report"]

WHEN_USABLE = """window.usableMs = new Promise(done => addEventListener("DOMContentLoaded", () =>
  requestAnimationFrame(() => setTimeout(() => requestAnimationFrame(
    () => done(performance.now()))))))"""
"""JavaScript that notes when the page has drawn its table and figures for the first time."""

UNTIL_DRAWN = """new Promise(done => {
  const from = performance.now();
  ACT;
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - from)));
})"""
"""JavaScript that does ``ACT`` and returns the milliseconds until the page is drawn again."""
SORT = "document.querySelectorAll('.ranked thead button')[4].click()"
FILTER = """const box = document.getElementById('filter');
  box.value = '3'; box.dispatchEvent(new Event('input'))"""


def records(space_name: str) -> list[Record]:
    """Return records like those of a search; about 3 % of the candidates failed."""
    space, rng = get_space(space_name), random.Random(0)
    start = datetime.now(UTC) - timedelta(seconds=COUNT * APART_S)
    sampled: dict[str, Architecture] = {}
    while len(sampled) < COUNT:
        architecture = space.sample(rng)
        sampled[architecture.key] = architecture
    found = []
    for index, architecture in enumerate(sampled.values()):
        trial = Trial(architecture, 32, index, seed=rng.randrange(2**31))
        params = int(10 ** rng.uniform(3, 5.5))
        accuracy = min(0.999, rng.gauss(0.5 + params**0.1 / 8, 0.03))
        record = Record.of(
            trial,
            Status.OK,
            proxy_accuracy=accuracy,
            proxy_loss=-2 * accuracy + 2.1,
            params=params,
            flops=params * rng.randrange(20, 40),
            depth=rng.randrange(3, 9),
            tell_index=index,
            train_s=rng.uniform(0.1, 0.6),
            eval_s=rng.uniform(0.02, 0.05),
            worker=f"ray-{index % WORKERS:08x}",
            node=f"{index % 4:08x}",
            device="cpu",
            threads=1,
            torch_version="2.13.0",
            created_at=start + timedelta(seconds=index * APART_S),
            extra={"jacob_cov": rng.gauss(-70, 10), "nwot": rng.gauss(400, 30)},
        )
        if rng.random() < 0.03:
            error = f"RuntimeError: size {rng.randrange(9)} does not fit"
            record = replace(record, status=Status.FAILED, error=error, proxy_accuracy=None)
        found.append(record)
    return found


def write(folder: Path, space: str) -> None:
    """Write a run with candidates, full trainings and events."""
    config = SearchConfig(space=space, candidates=COUNT, top_k=FINALS)
    about = {"image_shape": [3, 32, 32], "classes": [str(label) for label in range(10)]}
    with RunStore.create(folder, to_yaml(config)) as store:
        store.append_event("start", details=about)
        candidates = records(space)
        store.append_asks([Trial(r.architecture, r.budget, r.ask_index) for r in candidates])
        store.append_candidates(candidates)
        chosen = [r for r in candidates if r.status is Status.OK][:FINALS]
        for rank, record in enumerate(chosen, 1):
            for epoch in range(1, EPOCHS + 1):
                accuracy = (record.proxy_accuracy or 0) * (1 - 1 / (epoch + 1))
                details = {"epoch": epoch, "train_loss": 2 / epoch, "validation_loss": 2 / epoch}
                details |= {"validation_accuracy": accuracy}
                store.append_event("epoch", key=record.key, details=details)
            store.append_final(
                Final(
                    record.key,
                    record.space,
                    record.choices,
                    rank,
                    Status.OK,
                    validation_accuracy=record.proxy_accuracy,
                    test_accuracy=record.proxy_accuracy,
                    params=record.params,
                    flops=record.flops,
                    train_s=60.0,
                )
            )
        store.append_event("end")
        store.compact()


def opened(browser: Browser, file: Path) -> tuple[Page, float]:
    """Open a report; return its page, and the seconds until everything is drawn."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.add_init_script(WHEN_USABLE)
    page.goto(file.as_uri())
    return page, float(page.evaluate("window.usableMs")) / 1000


def drawn_ms(page: Page, act: str) -> float:
    """Run JavaScript in a page; return the milliseconds until the page is drawn again."""
    return float(page.evaluate(UNTIL_DRAWN.replace("ACT", act)))


def measure(space: str, folder: Path) -> dict[str, object]:
    """Write a run and its report, open the page, and return the row of the table."""
    write(folder, space)
    report, seconds, loads, sorts, filters = folder / "report.html", [], [], [], []
    for _ in range(REPEATS):
        started = time.perf_counter()
        subprocess.run([*COMMAND, str(folder)], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - started)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for _ in range(REPEATS):
            page, interactive_s = opened(browser, report)
            loads.append(interactive_s)
            sorts.append(drawn_ms(page, SORT))
            filters.append(drawn_ms(page, FILTER))
            page.close()
        browser.close()
    return {
        "space": space,
        "candidates": COUNT,
        "finals": FINALS,
        "report_s": round(statistics.median(seconds), 2),
        "report_bytes": report.stat().st_size,
        "interactive_s": round(statistics.median(loads), 2),
        "sort_ms": round(statistics.median(sorts)),
        "filter_ms": round(statistics.median(filters)),
    }


def main() -> None:
    """Measure the search spaces that are not in the table yet, and print the table."""
    parser(__doc__).parse_args()
    table = Table("bench_report")
    for space in SPACES:
        if not table.has(space=space):
            with tempfile.TemporaryDirectory() as folder:
                table.add(measure(space, Path(folder) / "run"))
    print(machine())
    columns = list(table.rows[0])
    print(markdown(columns, [[row[name] for name in columns] for row in table.rows]))


if __name__ == "__main__":
    main()
