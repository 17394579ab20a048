"""The two sides of one Ray worker: the actor, and the driver's bookkeeping of that actor."""

from __future__ import annotations

import platform
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ray
from ray import ObjectRef, cloudpickle

from gtn_nas.errors import one_line
from gtn_nas.executors.base import attempt
from gtn_nas.trial import Arrays, Evaluate, Record, Trial

KILL_COUNTERS = (
    "/proc/vmstat",
    "/sys/fs/cgroup/memory.events",
    "/sys/fs/cgroup/memory/memory.oom_control",
)
"""Where Linux counts processes killed for lack of memory: machine, cgroup v2, cgroup v1."""


@dataclass(frozen=True)
class Hello:
    """An actor's first message: where it runs, ``memory_kills()``, and why it failed to start."""

    actor_id: str
    node_id: str
    host: str
    memory_kills: int
    error: str | None


@dataclass(frozen=True)
class Answer:
    """A record, the seconds its evaluation took, and ``memory_kills()`` after it."""

    record: Record
    busy_s: float
    memory_kills: int


class EvaluatorActor:
    """Evaluates trials in a process of its own, one after the other."""

    _evaluate: Evaluate

    def prepare(self, factory: bytes, shared: dict[str, ObjectRef]) -> Hello:
        """Make the evaluator; this is the first call to every actor.

        Args:
            factory: the pickled factory.
            shared: references to the shared arrays, by name.
        """
        context, error = ray.get_runtime_context(), None
        try:
            self._evaluate = cloudpickle.loads(factory)(_resolve(shared))
        except Exception as caught:
            error = one_line(caught)
        ids = context.get_actor_id(), context.get_node_id()
        return Hello(*ids, platform.node(), memory_kills(), error)

    def evaluate(self, trial: Trial) -> Answer:
        """Return the record of one trial, also if the evaluation raises."""
        start = time.monotonic()
        record = attempt(self._evaluate, trial)
        return Answer(record, time.monotonic() - start, memory_kills())


def memory_kills() -> int:
    """Return how often Linux killed a process for lack of memory on this machine or container.

    The sum mixes several counters and starts anywhere: only its increases have a meaning.
    """
    total = 0
    for path in KILL_COUNTERS:
        with suppress(OSError):
            lines = Path(path).read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
    return total


def _resolve(shared: dict[str, ObjectRef]) -> Arrays:
    arrays = dict(zip(shared, ray.get(list(shared.values())), strict=True))
    for array in arrays.values():
        array.flags.writeable = False  # Ray copies small or non-contiguous arrays, writable
    return arrays


@dataclass(frozen=True)
class Candidate:
    """A trial that was sent to a worker or waits to be sent.

    Attributes:
        trial: the trial to evaluate.
        attempt: number of the attempt, counted from 1.
        alone: it was on a worker that died. It now gets a worker to itself, so that another death
            shows which candidate is the cause.
        suspect: a worker died while its node lived and this was the worker's oldest candidate.
    """

    trial: Trial
    attempt: int = 1
    alone: bool = False
    suspect: bool = False


@dataclass(eq=False)
class Worker:
    """The driver's bookkeeping of one actor.

    Attributes:
        handle: Ray's handle of the actor.
        hello: reference to the answer to ``prepare``.
        name: the worker's name in records; empty until the actor is ready.
        node_id: id of the actor's node; empty until the actor is ready.
        calls: the candidates without an answer yet, by the reference of their call, oldest first.
        started: when the actor was requested, on the monotonic clock.
        joined: when the actor was ready, on the monotonic clock.
        since: when the oldest call became the oldest, on the monotonic clock.
        busy_s: seconds spent inside the answered candidates.
        memory_kills: the actor's ``memory_kills()`` after its last answer.
    """

    handle: Any
    hello: ObjectRef
    name: str = ""
    node_id: str = ""
    calls: dict[ObjectRef, Candidate] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    joined: float = 0.0
    since: float = 0.0
    busy_s: float = 0.0
    memory_kills: int = 0

    @property
    def node(self) -> str:
        """Name of the worker's node in records."""
        return self.node_id[:8]

    def join(self, hello: Hello) -> None:
        """Mark the worker as ready."""
        self.name, self.node_id = f"ray-{hello.actor_id[:8]}", hello.node_id
        self.joined, self.memory_kills = time.monotonic(), hello.memory_kills

    def has_room(self, alone: bool, limit: int) -> bool:
        """Tell whether the worker can be sent a candidate.

        Args:
            alone: the candidate must be alone on its worker.
            limit: most candidates at the worker otherwise.
        """
        if not self.name or any(c.alone for c in self.calls.values()):
            return False
        return len(self.calls) < (1 if alone else limit)

    def send(self, candidate: Candidate) -> None:
        """Send a candidate to the actor."""
        if not self.calls:
            self.since = time.monotonic()
        self.calls[self.handle.evaluate.remote(candidate.trial)] = candidate

    def take(self, ref: ObjectRef) -> Candidate:
        """Remove a call and return its candidate; the time of the next call starts now."""
        self.since = time.monotonic()
        return self.calls.pop(ref)

    def times(self) -> tuple[float, float]:
        """Return the seconds inside candidates, and all seconds, since the worker joined."""
        now = time.monotonic()
        running_s = now - self.since if self.calls else 0.0
        return (self.busy_s + running_s, now - self.joined) if self.name else (0.0, 0.0)

    def sign(self, record: Record, candidate: Candidate) -> Record:
        """Add the worker, its node and the attempt to a record."""
        return replace(record, worker=self.name, node=self.node, attempt=candidate.attempt)
