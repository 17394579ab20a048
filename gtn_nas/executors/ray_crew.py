"""The workers of a run on Ray: started where there is room, greeted, replaced and counted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import ray
from ray import ObjectRef, cloudpickle
from ray.exceptions import RaySystemError

from gtn_nas.errors import ClusterError, EnvironmentFailure, one_line
from gtn_nas.executors.base import EvaluatorFactory, Load, Notice
from gtn_nas.executors.ray_nodes import HEAD_S, NodeWatch
from gtn_nas.executors.ray_worker import Candidate, EvaluatorActor, Hello, Worker
from gtn_nas.trial import Arrays

START_S = 300.0
"""How long a run waits for the least number of workers, e.g. behind the jobs of others."""

STARTS = 3
"""After so many workers in a row that did not become ready, a run without any other ends."""

BIRTH_S = 5.0
"""How young a worker may be, when a run closes, that is waited for before it is ended."""

HOLD_S = 30.0
"""How long a run with others then waits before it starts the next."""


class Crew:
    """Keeps as many workers as there should be.

    Args:
        factory: makes the function that scores a trial; called once in each worker.
        arrays: what the factory gets, by name; each is put into the object store once.
        cpus: CPUs that Ray reserves for each worker.
        gpus: GPUs that Ray reserves for each worker.
        least: how many there must be, or the run ends.
        most: how many are asked for, whether they fit or not; by default as many as fit.
        note: told who joins and who leaves.

    Attributes:
        members: workers that are ready or starting.
        nodes: what is known of the nodes.
    """

    def __init__(
        self,
        factory: EvaluatorFactory,
        arrays: Arrays,
        *,
        cpus: float,
        gpus: float,
        least: int,
        most: int | None,
        note: Callable[[Notice], None],
    ) -> None:
        self.members: list[Worker] = []
        self.nodes = NodeWatch(cpus, gpus)
        self._least, self._most, self._note = least, most, note
        self._factory = cloudpickle.dumps(factory)
        # Kept here for as long as a fresh worker may need them: no reference, no array.
        self._arrays = {name: ray.put(array) for name, array in arrays.items()}
        self._actor = ray.remote(EvaluatorActor).options(
            num_cpus=cpus, num_gpus=gpus, max_restarts=0, max_task_retries=0
        )
        self._failed_starts = 0
        self._hold_until = self._enough_at = 0.0  # on the monotonic clock
        self._times = (0.0, 0.0)  # of those that left: seconds inside candidates, and all seconds

    @property
    def ready(self) -> list[Worker]:
        """Those that take part."""
        return [worker for worker in self.members if worker.name]

    def load(self) -> Load:
        """Return how busy they are."""
        times = [self._times, *(worker.times() for worker in self.members)]
        busy_s, all_s = (sum(part) for part in zip(*times, strict=True))
        return Load(Counter(w.node for w in self.ready), busy_s / all_s if all_s else 0.0)

    def begin(self) -> None:
        """Count failures and patience anew."""
        self._failed_starts, self._hold_until, self._enough_at = 0, 0.0, time.monotonic()

    def fill(self) -> None:
        """Start the workers that are missing, those of nodes that joined among them."""
        self.nodes.start()
        if time.monotonic() < self._hold_until:
            return
        wanted = self._most or max(self.nodes.room, self._least)
        while len(self.members) < wanted:
            handle = self._actor.remote()
            self.members.append(Worker(handle, handle.prepare.remote(self._factory, self._arrays)))

    def greet(self, worker: Worker, answer: Hello | Exception) -> None:
        """Let a worker that is ready take part.

        Raises:
            ClusterError: workers die while they start, and there is no other.
            EnvironmentFailure: no evaluator could be made from the factory.
        """
        if isinstance(answer, Hello) and answer.error is None:
            worker.join(answer)
            self._failed_starts = 0
            self._note(Notice("worker_joined", worker.name, worker.node, answer.host))
            return
        why = answer.error if isinstance(answer, Hello) else one_line(answer)
        self.retire(worker, f"did not start: {why}")
        self._failed_starts += 1
        if self._failed_starts < STARTS:
            return
        if self.ready:
            self._failed_starts, self._hold_until = 0, time.monotonic() + HOLD_S
            return
        if isinstance(answer, Hello):
            place = f"node {answer.node_id[:8]}"
            raise EnvironmentFailure(f"no evaluator could be made on {place}: {why}")
        raise ClusterError(f"{STARTS} workers died while they started: {why}")

    def retire(self, worker: Worker, reason: str | None = None) -> list[Candidate]:
        """End a worker's process, if it still runs; return what it did not finish.

        Args:
            worker: one of the members.
            reason: what is told about it; by default nothing is.
        """
        self.members.remove(worker)
        busy_s, all_s = worker.times()
        self._times = self._times[0] + busy_s, self._times[1] + all_s
        if ray.is_initialized():
            with suppress(RaySystemError):  # of an actor that never came to be
                ray.kill(worker.handle)
        if reason is not None:
            self._note(Notice("worker_left", worker.name, worker.node, reason))
        return list(worker.calls.values())

    def require_enough(self) -> None:
        """Check that the run can go on.

        Raises:
            ClusterError: too few workers have been ready for too long, or the head is silent.
        """
        if self.nodes.head_is_silent():
            raise ClusterError(f"the head of the Ray cluster has not answered for {HEAD_S:g} s")
        now, count = time.monotonic(), len(self.ready)
        if count >= self._least:
            self._enough_at = now
        elif now - self._enough_at > START_S:
            free = ray.available_resources()
            raise ClusterError(
                f"for {START_S:g} s there were fewer than {self._least} workers (now {count}); "
                f"free on the cluster: {free.get('CPU', 0):g} CPUs, {free.get('GPU', 0):g} GPUs"
            )

    def close(self) -> None:
        """End all of them.

        Ray 2.60 never frees the CPUs of an actor that is killed after a process was found for it
        and before it was made there. So the young are waited for, and those for which there is no
        room go before the others make room.
        """
        self.nodes.stop()
        starting = [worker for worker in self.members if not worker.name]
        if starting and ray.is_initialized():
            age_s = time.monotonic() - max(worker.started for worker in starting)
            hellos = [worker.hello for worker in starting]
            ray.wait(hellos, num_returns=len(hellos), timeout=max(0.0, BIRTH_S - age_s))
        for worker in [*starting, *self.ready]:
            self.retire(worker)

    def awaited(self) -> dict[ObjectRef, Worker]:
        """Return what is awaited of whom: first words, and answers, the oldest first."""
        return {
            ref: worker
            for worker in self.members
            for ref in (*([] if worker.name else [worker.hello]), *worker.calls)
        }
