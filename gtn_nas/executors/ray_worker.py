"""The two sides of one Ray worker: the actor, and what the driver knows of it."""

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
"""Where Linux counts what it killed for memory: on this machine, in this container (v2, v1)."""


@dataclass(frozen=True)
class Hello:
    """What an actor says first: where it runs, ``memory_kills()``, and why it cannot work."""

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
        """Make the evaluator; the first call to every actor.

        Args:
            factory: the pickled factory.
            shared: references to the shared arrays.
        """
        context, error = ray.get_runtime_context(), None
        try:
            self._evaluate = cloudpickle.loads(factory)(_resolve(shared))
        except Exception as caught:
            error = one_line(caught)
        ids = context.get_actor_id(), context.get_node_id()
        return Hello(*ids, platform.node(), memory_kills(), error)

    def evaluate(self, trial: Trial) -> Answer:
        """Return the record of one trial, whatever happens short of the end of the process."""
        start = time.monotonic()
        record = attempt(self._evaluate, trial)
        return Answer(record, time.monotonic() - start, memory_kills())


def memory_kills() -> int:
    """Return how many processes were killed for memory where this one runs; only rises count."""
    total = 0
    for path in KILL_COUNTERS:
        with suppress(OSError):
            lines = Path(path).read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
    return total


def _resolve(shared: dict[str, ObjectRef]) -> Arrays:
    arrays = dict(zip(shared, ray.get(list(shared.values())), strict=True))
    for array in arrays.values():
        array.flags.writeable = False  # also those too small or too scattered for shared pages
    return arrays


@dataclass(frozen=True)
class Candidate:
    """A trial on its way.

    Attributes:
        trial: what to evaluate.
        attempt: counted from 1.
        alone: it was on a worker that died; so that it or its neighbour can be cleared of that,
            nothing else goes to its worker.
        suspect: a worker died when this was the oldest on it, though its node lived.
    """

    trial: Trial
    attempt: int = 1
    alone: bool = False
    suspect: bool = False


@dataclass(eq=False)
class Worker:
    """What the driver knows of one actor.

    Attributes:
        handle: Ray's handle of the actor.
        hello: the answer to ``prepare``.
        name: what records call it; empty until the actor is ready.
        node_id: id of its node, and of no node until the actor is ready.
        calls: what was sent and not answered, oldest first.
        started: when it was asked for, on the monotonic clock.
        joined: when it was ready, on the monotonic clock.
        since: when the oldest call became the oldest, on the monotonic clock.
        busy_s: seconds inside the candidates that were answered.
        memory_kills: what was counted where it runs after the last of them.
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
        """What records call its node."""
        return self.node_id[:8]

    def join(self, hello: Hello) -> None:
        """Take part from now on."""
        self.name, self.node_id = f"ray-{hello.actor_id[:8]}", hello.node_id
        self.joined, self.memory_kills = time.monotonic(), hello.memory_kills

    def has_room(self, alone: bool, limit: int) -> bool:
        """Whether a candidate can be sent, of those that must be alone or of the others."""
        if not self.name or any(c.alone for c in self.calls.values()):
            return False
        return len(self.calls) < (1 if alone else limit)

    def send(self, candidate: Candidate) -> None:
        """Queue a candidate."""
        if not self.calls:
            self.since = time.monotonic()
        self.calls[self.handle.evaluate.remote(candidate.trial)] = candidate

    def take(self, ref: ObjectRef) -> Candidate:
        """Remove an answered call; the clock of the next one starts."""
        self.since = time.monotonic()
        return self.calls.pop(ref)

    def times(self) -> tuple[float, float]:
        """Return the seconds inside candidates, and all seconds, since it joined."""
        now = time.monotonic()
        running_s = now - self.since if self.calls else 0.0
        return (self.busy_s + running_s, now - self.joined) if self.name else (0.0, 0.0)

    def sign(self, record: Record, candidate: Candidate) -> Record:
        """Write into a record where it comes from."""
        return replace(record, worker=self.name, node=self.node, attempt=candidate.attempt)
