"""Evaluation by warm actors on a Ray cluster."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import ray
from ray import ObjectRef
from ray.exceptions import OutOfMemoryError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from gtn_nas.errors import ClusterError
from gtn_nas.executors.base import (
    EvaluatorFactory,
    Executor,
    Load,
    Notice,
    failure,
    require_positive,
    timeout,
)
from gtn_nas.executors.cluster import check_fits
from gtn_nas.executors.ray_crew import Crew
from gtn_nas.executors.ray_worker import Answer, Candidate, Worker, memory_kills
from gtn_nas.trial import Arrays, Record, Status, Trial

IN_FLIGHT = 2
"""Most trials at one worker: the one that it evaluates and the next one."""

LAST_NEWS_S = 5.0
"""Longest wait for the last answers of a dead worker, until Ray reports its other calls as lost."""

COUNT_S = 30.0
"""Longest wait for a dead worker's node to count the processes killed there for lack of memory."""

GLANCE_S = (0.1, 1.0)
"""Shortest and longest wait for an answer before deadlines and nodes are checked again."""

BROKEN_DEVICE = "AcceleratorError"
"""torch's error when a GPU's context is lost; every later candidate of that process would fail."""


class RayExecutor(Executor):
    """Evaluates trials by warm actors on the Ray cluster that this process is connected to.

    See ``connect``. Workers are started once and keep their CPUs and GPUs until ``close``; a later
    run starts new ones. Each array is put into Ray's object store once, and workers of one machine
    read it from the same memory pages. Ray sets ``OMP_NUM_THREADS`` of a worker to its number of
    whole CPUs, at least one, unless the environment that Ray was started from sets it.

    A worker that dies is replaced if there is room, and nodes that join are used at once. A worker
    evaluates its trials in order. So when it dies, the oldest trial is the suspect, and is tried
    again alone on a worker. If that worker dies too while its node lives, the trial's record says
    ``crashed``, or ``oom`` if memory ran out there. A node can die under the same trial several
    times: ``max_attempts`` limits that. The trials that waited behind a suspect lose no attempt.

    Args:
        factory: makes the function that scores a trial; called once in each worker.
        arrays: the arrays for the factory, by name.
        workers: a fixed number of actors, which must fit on the cluster as it is now.
        min_workers: instead of ``workers``, the fewest that a run needs to go on; one by default.
            A run ends when it has had fewer for too long.
        max_workers: instead of ``workers``, the most. So many are requested even if they do not
            fit, so that an autoscaling cluster grows; by default as many as fit.
        cpus_per_worker: CPUs that Ray reserves for each worker; workers with a fraction share one.
        gpus_per_worker: GPUs that Ray reserves for each worker; workers with a fraction share one
            GPU and its memory.
        timeout_s: time limit of one candidate in seconds, counted from when its worker is ready and
            has finished earlier ones; none by default. The worker of an overdue candidate is
            replaced.
        max_attempts: a candidate that lost so many workers gets no further attempt.

    Raises:
        ClusterError: this process is not connected to Ray.
        ConfigError: an option is not above zero.
        ResourceError: so many workers of this size do not fit on the cluster.
    """

    def __init__(
        self,
        factory: EvaluatorFactory,
        arrays: Arrays,
        *,
        workers: int | None = None,
        min_workers: int | None = None,
        max_workers: int | None = None,
        cpus_per_worker: float = 1,
        gpus_per_worker: float = 0,
        timeout_s: float | None = None,
        max_attempts: int = 3,
    ) -> None:
        require_positive(
            workers=workers,
            min_workers=min_workers,
            max_workers=max_workers,
            cpus_per_worker=cpus_per_worker,
            timeout_s=timeout_s,
            max_attempts=max_attempts,
        )
        if not ray.is_initialized():  # Ray would silently join or start a cluster of its choice
            raise ClusterError("not connected to Ray; use gtn_nas.executors.connect first")
        if min_workers is None and max_workers is None:
            check_fits(workers, cpus_per_worker, gpus_per_worker)
        self._timeout_s = math.inf if timeout_s is None else timeout_s
        self._max_attempts = max_attempts
        self._returned: deque[Candidate] = deque()  # to be sent once more
        self._crew = Crew(
            factory,
            arrays,
            cpus=cpus_per_worker,
            gpus=gpus_per_worker,
            least=min_workers or 1,
            most=workers or max_workers,
            note=lambda notice: self.on_notice(notice),
        )
        self._crew.fill()

    def load(self) -> Load:
        """Return how busy the workers are; see ``Executor.load``."""
        return self._crew.load()

    def run(self, trials: Iterable[Trial]) -> Iterator[Record]:
        """Evaluate the trials on all workers; see ``Executor.run``.

        Raises:
            ClusterError: too few workers start, or the cluster's head node stopped answering.
            EnvironmentFailure: no evaluator could be made from the factory.
        """
        source = iter(trials)
        self._crew.begin()
        try:
            while True:
                if records := self._finished():
                    yield from records
                    continue
                self._crew.require_enough()
                self._crew.fill()
                ran_out = self._feed(source)
                if ran_out and not any(worker.calls for worker in self._crew.ready):
                    return
                self._wait()
        finally:
            for worker in [worker for worker in self._crew.ready if worker.calls]:
                self._crew.retire(worker)
            self._returned.clear()

    def close(self) -> None:
        """End the workers and free what they reserved."""
        self._crew.close()

    def _finished(self) -> list[Record]:
        """Return the records that are finished by now, without waiting; stop overdue candidates."""
        awaited = self._crew.awaited()
        refs = list(awaited)
        ready, _ = ray.wait(refs, num_returns=len(refs), timeout=0) if refs else ([], [])
        records, hellos = [], []
        for ref, value in zip(ready, _values(ready), strict=True):
            worker = awaited[ref]
            if worker not in self._crew.members:
                continue  # this worker was retired for an earlier answer in this loop
            if ref == worker.hello:
                hellos.append((worker, value))
            elif isinstance(value, Answer | RayTaskError):
                records.append(self._settle(worker, ref, value))
                if (records[-1].error or "").startswith(BROKEN_DEVICE):
                    self._let_go(worker, "its device is lost")
            else:
                records += self._bury(worker, value)
        for worker, value in [] if records else hellos:  # may raise: records are yielded first
            self._crew.greet(worker, value)
        for worker in self._crew.ready:
            if self._crew.nodes.is_lost(worker.node_id):
                records += self._bury(worker, None)
            elif self._is_overdue(worker):
                records.append(self._stop(worker))
        return records

    def _feed(self, source: Iterator[Trial]) -> bool:
        """Send trials to every worker with room, the least loaded first.

        Returns:
            Whether no trial is left to send.
        """
        while True:
            alone = bool(self._returned) and self._returned[0].alone
            places = [worker for worker in self._crew.ready if worker.has_room(alone, IN_FLIGHT)]
            if not places:
                return False
            if self._returned:
                candidate = self._returned.popleft()
            elif (trial := next(source, None)) is not None:
                candidate = Candidate(trial)
            else:
                return True
            min(places, key=lambda place: len(place.calls)).send(candidate)

    def _wait(self) -> None:
        """Wait until an answer arrives, a deadline passes or the nodes must be checked."""
        now, (shortest_s, longest_s) = time.monotonic(), GLANCE_S
        left_s = [w.since + self._timeout_s - now for w in self._crew.ready if w.calls]
        patience_s = max(min([*left_s, longest_s]), shortest_s)
        if refs := list(self._crew.awaited()):
            ray.wait(refs, num_returns=1, timeout=patience_s)
        else:
            time.sleep(patience_s)

    def _settle(self, worker: Worker, ref: ObjectRef, answer: Answer | RayTaskError) -> Record:
        """Turn a worker's answer into a record.

        A ``RayTaskError`` means that the record itself could not be sent, e.g. not be pickled.
        """
        candidate = worker.take(ref)
        if isinstance(answer, RayTaskError):
            return worker.sign(failure(candidate.trial, answer.cause), candidate)
        worker.busy_s += answer.busy_s
        worker.memory_kills = answer.memory_kills
        return worker.sign(answer.record, candidate)

    def _bury(self, worker: Worker, error: Exception | None) -> list[Record]:
        """Retire a dead worker, and send its unfinished candidates again.

        Args:
            worker: the worker, which died itself or lost its node.
            error: Ray's error of a lost call; ``None`` if only the node is known to be lost.

        Returns:
            The records that the worker finished, and that of its suspect if it is not tried again.
        """
        if error is not None:
            self._crew.nodes.refresh()
        node_is_lost = self._crew.nodes.is_lost(worker.node_id)
        records = self._last_answers(worker, 0 if node_is_lost else LAST_NEWS_S)
        death = "the loss of its node" if node_is_lost else type(error).__name__
        unfinished = self._crew.retire(worker, f"ended by {death}")
        for candidate in unfinished[:1]:
            guilty = candidate.suspect and not node_is_lost
            if guilty or candidate.attempt >= self._max_attempts:
                memory = not node_is_lost and self._ran_out_of_memory(worker, error)
                records.append(worker.sign(_crash(candidate, death, memory), candidate))
            else:
                again = replace(
                    candidate,
                    attempt=candidate.attempt + 1,
                    alone=True,
                    suspect=candidate.suspect or not node_is_lost,
                )
                self._send_again(again, worker, f"its worker was ended by {death}")
        for candidate in unfinished[1:]:
            reason = f"the worker it was to go to was ended by {death}"
            self._send_again(replace(candidate, alone=True), worker, reason)
        return records

    def _last_answers(self, worker: Worker, patience_s: float) -> list[Record]:
        """Return the records that a worker sent before it died."""
        refs = list(worker.calls)
        if refs:
            ray.wait(refs, num_returns=len(refs), timeout=patience_s)
        answers = [(ref, _value(ref)) for ref in refs]
        known = [(ref, a) for ref, a in answers if isinstance(a, Answer | RayTaskError)]
        return [self._settle(worker, ref, answer) for ref, answer in known]

    def _ran_out_of_memory(self, worker: Worker, error: Exception | None) -> bool:
        """Tell whether Ray or Linux killed a worker for lack of memory; its node must be alive."""
        if isinstance(error, OutOfMemoryError):
            return True
        there = NodeAffinitySchedulingStrategy(worker.node_id, soft=False)
        count = ray.remote(memory_kills).options(num_cpus=0, scheduling_strategy=there).remote()
        found, _ = ray.wait([count], timeout=COUNT_S)
        now = _value(found[0]) if found else None
        return isinstance(now, int) and now > worker.memory_kills

    def _is_overdue(self, worker: Worker) -> bool:
        """Tell whether a worker's candidate exceeded its time limit.

        The node must have answered since the deadline. From a silent node no answer can arrive,
        and the candidate may have finished long ago.
        """
        deadline = worker.since + self._timeout_s
        heard_at = self._crew.nodes.heard_at(worker.node_id)
        return bool(worker.calls) and deadline <= min(time.monotonic(), heard_at)

    def _stop(self, worker: Worker) -> Record:
        """Retire a worker whose candidate is overdue."""
        overdue = worker.take(next(iter(worker.calls)))
        self._let_go(worker, "its candidate outlasted its deadline")
        return worker.sign(timeout(overdue.trial, self._timeout_s), overdue)

    def _let_go(self, worker: Worker, reason: str) -> None:
        """Retire a worker, and send its unfinished candidates again, none of them a suspect."""
        for candidate in self._crew.retire(worker, reason):
            self._send_again(candidate, worker, f"the worker it was to go to was retired: {reason}")

    def _send_again(self, candidate: Candidate, worker: Worker, reason: str) -> None:
        self._returned.append(candidate)
        key = candidate.trial.architecture.key
        self.on_notice(Notice("requeued", worker.name, worker.node, reason, key, candidate.attempt))


def _crash(candidate: Candidate, death: str, memory: bool) -> Record:
    """Return the record of a candidate that is not tried again; Ray's log has the details."""
    text = f"its worker died in each of {candidate.attempt} attempts, last by {death}"
    if memory:
        text += "; memory ran out there"
    return Record.of(candidate.trial, Status.OOM if memory else Status.CRASHED, error=text)


def _values(refs: list[ObjectRef]) -> list[Any]:
    """Get the values of finished calls; an error is returned in place of its value."""
    try:
        return list(ray.get(refs))
    except Exception:  # one call failed: get each value alone
        return [_value(ref) for ref in refs]


def _value(ref: ObjectRef) -> Any:
    """Get the value of a finished call; an error is returned, not raised."""
    try:
        return ray.get(ref, timeout=0)
    except Exception as error:  # a RayError, or Ray's mix of RayTaskError and a candidate's error
        return error
