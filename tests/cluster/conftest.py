"""Real clusters on this machine, searches as processes of their own, and what they leave."""

import json
import os
import secrets
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from gtn_nas.results.query import load_run
from gtn_nas.strategies.random_search import RandomSearch
from gtn_nas.testing.strategies import context
from gtn_nas.trial import Trial

from .candidates import Grid, children_of, score

ROOT = Path(__file__).resolve().parents[2]
GONE_S = 60.0
"""How long processes may take to end; Ray's agents look for their raylet every ten seconds."""

HEALTH_CHECKS = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 300,
    "health_check_timeout_ms": 5000,
    "health_check_failure_threshold": 3,
}
"""A killed node is noticed after a second; one that is slow is left in peace."""


@pytest.fixture(autouse=True)
def mark(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Mark every process that a test starts; none may be left behind."""
    mark = secrets.token_hex(8)
    monkeypatch.setenv("GTN_NAS_FAULT_TEST", mark)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # for nodes and drivers alike
    yield mark
    for pid in processes(mark):
        assert is_gone(pid), f"left behind: {Path(f'/proc/{pid}/cmdline').read_bytes()!r}"


def processes(mark: str) -> list[int]:
    """Every process with a mark in its environment, but for this one."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            marked = mark.encode() in (place / "environ").read_bytes()
        except OSError:
            continue  # it ended a moment ago, or is not ours
        if marked and int(place.name) != os.getpid():
            found.append(int(place.name))
    return found


def is_gone(pid: int) -> bool:
    """Wait until a process has ended, but not for ever."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], GONE_S)[0])
    finally:
        os.close(descriptor)


class Nodes:
    """A cluster of several raylets on this machine; the head evaluates nothing.

    Args:
        count: nodes of one CPU to begin with.
        settings: Ray's own.
    """

    def __init__(self, count: int, settings: dict[str, int]) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "include_dashboard": False, "_system_config": settings}
        self.cluster = Cluster(initialize_head=True, head_node_args=head)
        for _ in range(count):
            self.add()

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def add(self) -> None:
        self.cluster.add_node(num_cpus=1)

    def kill_head(self) -> None:
        self._kill(self.cluster.head_node)

    @contextmanager
    def frozen_head(self) -> Iterator[None]:
        """Let the head fall silent for a while."""
        (server,) = self.cluster.head_node.all_processes["gcs_server"]
        server.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            server.process.send_signal(signal.SIGCONT)

    def shut_down(self) -> None:
        for node in self.cluster.list_all_nodes():
            self._kill(node)

    def _kill(self, node: Any) -> None:
        raylets = node.all_processes.get("raylet", [])  # none if it was killed before
        children = [pid for raylet in raylets for pid in children_of(raylet.process.pid)]
        node.kill_all_processes(check_alive=False, allow_graceful=False, wait=True)
        for pid in children:  # Ray's agents would outlive their raylet by a minute
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def start_nodes(mark: str) -> Iterator[Any]:
    """Start clusters; they are ended after the test."""
    started: list[Nodes] = []

    def start(count: int, settings: dict[str, int] = HEALTH_CHECKS) -> Nodes:
        started.append(Nodes(count, settings))
        return started[-1]

    yield start
    for nodes in started:
        nodes.shut_down()


@dataclass(frozen=True)
class Search:
    """A search that may be disturbed, in a folder of its own."""

    folder: Path
    count: int = 24

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def start(self, **options: object) -> subprocess.Popen[str]:
        """Start or resume it in a process of its own."""
        values = {"folder": str(self.run), "log": str(self.log), "count": self.count, **options}
        command = [sys.executable, "-m", "tests.cluster.driver", json.dumps(values)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=ROOT)

    def finish(self, **options: object) -> None:
        """Start or resume it, and see it end well."""
        process = self.start(**options)
        _, errors = process.communicate()
        assert process.returncode == 0, errors

    def rows(self) -> list[dict[str, Any]]:
        columns = ["key", "seed", "status", "proxy_loss", "attempt", "worker", "node", "error"]
        return load_run(self.run).query(columns=columns)

    def events(self, kind: str) -> list[dict[str, Any]]:
        rows = load_run(self.run).sql("SELECT kind, key, details FROM events")
        return [json.loads(r["details"]) | {"key": r["key"]} for r in rows if r["kind"] == kind]

    def begun(self) -> list[str]:
        """The keys of all evaluations that began, the processes and nodes beside them."""
        return self.log.read_text().splitlines()

    def undisturbed(self) -> list[tuple[Trial, float]]:
        """The trials of this search, with their scores, when nothing happens to it."""
        trials: dict[str, Trial] = {}
        strategy = RandomSearch(replace(context(0), space=Grid()))
        while len(trials) < self.count:
            (trial,) = strategy.ask(1)
            key = trial.architecture.key
            trials.setdefault(key, replace(trial, seed=7))
        return [(trial, score(trial)) for trial in trials.values()]

    def check(self) -> None:
        """Every trial is there exactly once, with the score that it has without any fault."""
        rows = self.rows()
        expected = {trial.architecture.key: loss for trial, loss in self.undisturbed()}
        assert {row["key"]: row["proxy_loss"] for row in rows} == expected
        assert len(rows) == len(expected)
        assert {row["status"] for row in rows} == {"ok"}


@pytest.fixture
def search(tmp_path: Path) -> Search:
    return Search(tmp_path)
