"""Toy candidates, and what goes wrong at the k-th evaluation or with those of a kind."""

import fcntl
import os
import resource
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import psutil

from gtn_nas.spaces.base import SearchSpace
from gtn_nas.trial import Evaluate, Record, Status, Trial, derived_seed

POISONS = ("raise", "loop", "nan", "memory", "exit")
"""In this order, since the last one would end a process that is more than a worker."""


class Grid(SearchSpace):
    """A thousand points; nothing is ever built."""

    name = "grid"
    choices = MappingProxyType({name: tuple(range(10)) for name in "abc"})

    def build(self, *arguments, **options):
        raise AssertionError("a toy candidate is not built")


def score(trial: Trial) -> float:
    """What every evaluation of a trial must give, wherever and however often it happens."""
    return derived_seed(trial.architecture.key, trial.budget, trial.seed) / 2**31


@dataclass(frozen=True)
class Faulty:
    """Makes the evaluator.

    Attributes:
        log: file with a line for each evaluation that began: key, process and node.
        at: what the k-th of them does first, counted from 1 over all processes and runs.
        poisons: how many kinds of candidates go wrong: those whose ``a`` is the place of a poison.
    """

    log: Path
    at: Mapping[int, str] = field(default_factory=dict)
    poisons: int = 0

    def __call__(self, arrays: object) -> Evaluate:
        def evaluate(trial: Trial) -> Record:
            act = self.at.get(begin(self.log, trial))
            if act is not None:
                ACTS[act](self.log)
            kind = trial.architecture.choices["a"]
            if isinstance(kind, int) and kind < self.poisons:
                POISONED[POISONS[kind]]()
            return Record.of(trial, Status.OK, proxy_loss=score(trial))

        return evaluate


def begin(log: Path, trial: Trial) -> int:
    """Note that an evaluation begins; return how many have begun by now."""
    with log.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(f"{trial.architecture.key} {os.getpid()} {os.getppid()}\n")
        file.flush()
        file.seek(0)
        return len(file.readlines())


def children_of(pid: int) -> list[int]:
    found = [place.read_text().split() for place in Path("/proc").glob(f"{pid}/task/*/children")]
    return [int(child) for children in found for child in children]


def node_processes() -> list[int]:
    """The raylet that started this worker, and all that it started, this worker last."""
    raylet = os.getppid()
    return sorted([raylet, *children_of(raylet)], key=lambda pid: pid == os.getpid())


def signal_node(signum: int) -> None:
    for pid in node_processes():
        os.kill(pid, signum)


def freeze_node(log: Path) -> None:
    """Let the node fall silent as a partition does: it neither answers nor closes connections."""
    log.with_suffix(".frozen").write_text(" ".join(map(str, node_processes())))
    signal_node(signal.SIGSTOP)


def meet(log: Path) -> None:
    """Wait for a second evaluation that waits here, which takes a second worker."""
    place = log.with_suffix(".meeting")
    try:
        os.mkfifo(place)
        mode = "r"
    except FileExistsError:
        mode = "w"
    with place.open(mode):  # whoever opens a pipe waits for the other end
        pass


ACTS = {
    "kill worker": lambda log: os.kill(os.getpid(), signal.SIGKILL),
    "kill node": lambda log: signal_node(signal.SIGKILL),
    "freeze node": freeze_node,
    "meet": meet,
}


def exhaust() -> None:
    """Ask for more memory than a small limit allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + 2**26, hard))
    try:
        bytearray(2**30)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def fail() -> None:
    raise ValueError("a bad candidate")


def diverge() -> None:
    raise FloatingPointError("the loss is nan")


POISONED = {
    "raise": fail,
    "loop": lambda: threading.Event().wait(),
    "nan": diverge,
    "memory": exhaust,
    "exit": lambda: os._exit(1),
}
