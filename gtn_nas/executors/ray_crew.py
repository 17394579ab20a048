"""The workers of a run on Ray: starts, replaces, retires and counts them."""

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
"""How long a run waits for its least number of workers, e.g. while other jobs use the cluster."""

STARTS = 3
"""Failed starts in a row after which a run without a ready worker ends."""

BIRTH_S = 5.0
"""Age up to which a starting worker is waited for before it is killed."""

HOLD_S = 30.0
"""How long a run that has ready workers pauses after ``STARTS`` failed starts in a row."""


class Crew:
    """Keeps the wanted number of workers running.

    Args:
        factory: makes the function that scores a trial; called once in each worker.
        arrays: the arrays for the factory, by name; each is put into the object store once.
        cpus: CPUs that Ray reserves for each worker.
        gpus: GPUs that Ray reserves for each worker.
        least: number of workers below which the run ends after ``START_S``.
        most: number of workers to request, even if they do not fit; by default as many as fit.
        note: called when a worker joins or leaves.

    Attributes:
        members: workers that are ready or starting.
        nodes: watches the nodes of the cluster.
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
        # New workers may need the arrays, and Ray frees an array without references.
        self._arrays = {name: ray.put(array) for name, array in arrays.items()}
        self._actor = ray.remote(EvaluatorActor).options(
            num_cpus=cpus, num_gpus=gpus, max_restarts=0, max_task_retries=0
        )
        self._failed_starts = 0
        self._hold_until = self._enough_at = 0.0  # on the monotonic clock
        self._times = (0.0, 0.0)  # of retired workers: seconds inside candidates, and all seconds

    @property
    def ready(self) -> list[Worker]:
        """The workers that can evaluate trials."""
        return [worker for worker in self.members if worker.name]

    def load(self) -> Load:
        """Return how busy the workers are."""
        times = [self._times, *(worker.times() for worker in self.members)]
        busy_s, all_s = (sum(part) for part in zip(*times, strict=True))
        return Load(Counter(w.node for w in self.ready), busy_s / all_s if all_s else 0.0)

    def begin(self) -> None:
        """Reset the count of failed starts and the wait for enough workers, for a new run."""
        self._failed_starts, self._hold_until, self._enough_at = 0, 0.0, time.monotonic()

    def fill(self) -> None:
        """Start the missing workers, also on nodes that joined since."""
        self.nodes.start()
        if time.monotonic() < self._hold_until:
            return
        wanted = self._most or max(self.nodes.room, self._least)
        while len(self.members) < wanted:
            handle = self._actor.remote()
            self.members.append(Worker(handle, handle.prepare.remote(self._factory, self._arrays)))

    def greet(self, worker: Worker, answer: Hello | Exception) -> None:
        """Let a worker join when it is ready, or retire it when it failed to start.

        Args:
            worker: a starting worker.
            answer: its answer to ``prepare``, or the error of that call.

        Raises:
            ClusterError: workers die while they start, and none is ready.
            EnvironmentFailure: no evaluator could be made from the factory, and no worker is ready.
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
        """Kill a worker's process, if it still runs, and return its unfinished candidates.

        Args:
            worker: one of the members.
            reason: why it left, for ``note``; without a reason, ``note`` is not called.
        """
        self.members.remove(worker)
        busy_s, all_s = worker.times()
        self._times = self._times[0] + busy_s, self._times[1] + all_s
        if ray.is_initialized():
            with suppress(RaySystemError):  # Ray's error for an actor that was never created
                ray.kill(worker.handle)
        if reason is not None:
            self._note(Notice("worker_left", worker.name, worker.node, reason))
        return list(worker.calls.values())

    def require_enough(self) -> None:
        """Check that there are enough workers to go on.

        Raises:
            ClusterError: there have been too few ready workers for too long, or the head node does
                not answer.
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
        """Kill all workers.

        Ray 2.60 never frees the CPUs of an actor that is killed after Ray chose a process for it
        and before that process created it. So starting workers are first given ``BIRTH_S`` to get
        ready. Workers still waiting for room are killed before the ready ones, whose CPUs would let
        them start.
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
        """Return the calls without an answer yet, each with its worker, a worker's oldest first."""
        return {
            ref: worker
            for worker in self.members
            for ref in (*([] if worker.name else [worker.hello]), *worker.calls)
        }
