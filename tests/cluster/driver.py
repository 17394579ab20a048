"""A search of toy candidates as a process of its own: ``python -m tests.cluster.driver OPTIONS``.

Every record is a line of output. It ends as ``gtn-nas`` does: with the error's exit code.
"""

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from gtn_nas.errors import GtnNasError
from gtn_nas.executors import Executor, InlineExecutor, RayExecutor, connect
from gtn_nas.results.layout import is_run
from gtn_nas.results.store import RunStore
from gtn_nas.searching.controller import Controller
from gtn_nas.strategies.random_search import RandomSearch
from gtn_nas.testing.strategies import context

from . import candidates
from .candidates import Faulty, Grid


def main(
    folder: str,
    log: str,
    count: int,
    address: str | None = None,
    at: dict[str, str] | None = None,
    poisons: int = 0,
    die_after: int | None = None,
    **options: Any,
) -> None:
    """Search, and kill this process after ``die_after`` records of this call."""
    factory = Faulty(Path(log), {int(k): act for k, act in (at or {}).items()}, poisons)
    if address is None:
        run(InlineExecutor(factory, {}, **options), Path(folder), count, die_after)
        return
    with connect(address):
        from ray import cloudpickle

        cloudpickle.register_pickle_by_value(candidates)
        run(RayExecutor(factory, {}, **options), Path(folder), count, die_after)


def run(executor: Executor, folder: Path, count: int, die_after: int | None) -> None:
    store = RunStore.open(folder) if is_run(folder) else RunStore.create(folder, "")
    with executor, store:
        strategy = RandomSearch(replace(context(0), space=Grid()))
        controller = Controller(
            strategy, executor, store, seed=7, evaluation_id="e", candidates=count
        )
        for told, record in enumerate(controller.run(), start=1):
            print(record.key, record.status, flush=True)
            if told == die_after:
                os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    try:
        main(**json.loads(sys.argv[1]))
    except GtnNasError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
