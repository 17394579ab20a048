"""The two sides of one Ray worker: the actor, and what the driver knows of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

import ray
from ray import ObjectRef, cloudpickle

from gtn_nas.errors import one_line
from gtn_nas.executors.base import Arrays, attempt
from gtn_nas.trial import Evaluate, Record, Trial


class EvaluatorActor:
    """Evaluates trials in a process of its own, one after the other."""

    _evaluate: Evaluate

    def prepare(self, factory: bytes, shared: dict[str, ObjectRef]) -> tuple[str, str, str | None]:
        """Make the evaluator; the first call to every actor.

        Args:
            factory: the pickled factory.
            shared: references to the shared arrays.

        Returns:
            The ids of this actor and of its node, and why there is no evaluator, if there is none.
        """
        context = ray.get_runtime_context()
        ids = context.get_actor_id(), context.get_node_id()
        try:
            self._evaluate = cloudpickle.loads(factory)(_resolve(shared))
        except Exception as error:
            return *ids, one_line(error)
        return *ids, None

    def evaluate(self, trial: Trial) -> Record:
        """Return the record of one trial, whatever happens short of the end of the process."""
        return attempt(self._evaluate, trial)


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
    """

    trial: Trial
    attempt: int = 1
    alone: bool = False


@dataclass(eq=False)
class Worker:
    """What the driver knows of one actor.

    Attributes:
        handle: Ray's handle of the actor.
        hello: the answer to ``prepare``.
        name: what records call it; empty until the actor is ready.
        node: first digits of the id of its node.
        calls: what was sent and not answered, oldest first.
        since: when the oldest call became the oldest, on the monotonic clock.
    """

    handle: Any
    hello: ObjectRef
    name: str = ""
    node: str = ""
    calls: dict[ObjectRef, Candidate] = field(default_factory=dict)
    since: float = 0.0

    def has_room(self, alone: bool, limit: int) -> bool:
        """Whether a candidate can be sent, of those that must be alone or of the others."""
        if not self.name or any(c.alone for c in self.calls.values()):
            return False
        return len(self.calls) < (1 if alone else limit)

    def send(self, candidate: Candidate) -> ObjectRef:
        """Queue a candidate and return the reference of its record."""
        ref = self.handle.evaluate.remote(candidate.trial)
        if not self.calls:
            self.since = time.monotonic()
        self.calls[ref] = candidate
        return ref

    def take(self, ref: ObjectRef) -> Candidate:
        """Remove an answered call; the clock of the next one starts."""
        self.since = time.monotonic()
        return self.calls.pop(ref)

    def isolate(self) -> None:
        """Mark what is not answered as to be sent alone next time."""
        self.calls = {ref: replace(call, alone=True) for ref, call in self.calls.items()}

    def sign(self, record: Record, candidate: Candidate) -> Record:
        """Write into a record where it comes from."""
        return replace(record, worker=self.name, node=self.node, attempt=candidate.attempt)
