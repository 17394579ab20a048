"""Evaluation by warm actors of a Ray cluster."""

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
"""Trials sent to one worker: the one it evaluates and the next."""

LAST_NEWS_S = 5.0
"""How long a dead worker's other calls may take to be known as lost."""

COUNT_S = 30.0
"""How long the node of a dead worker may take to say what was killed there for memory."""

GLANCE_S = (0.1, 1.0)
"""The shortest and the longest wait for an answer before deadlines and nodes are looked at."""

BROKEN_DEVICE = "AcceleratorError"
"""What torch raises when a GPU's context is lost: every later candidate of that process fails."""


class RayExecutor(Executor):
    """Warm actors on the Ray cluster that this process is connected to (see ``connect``).

    Workers are started once and keep their CPUs and GPUs until ``close``; a later run starts them
    again. Each array is put into Ray's object store once, and workers of one machine read it from
    the same pages. Ray sets ``OMP_NUM_THREADS`` of a worker to its whole CPUs, at least one, unless
    the environment it was started from sets it.

    Workers that die are replaced where there is room, and nodes that join are used at once. A
    worker takes its calls in order, so when it dies the oldest of them is the suspect: it is tried
    again, alone on a worker, and counts as ``crashed`` if that dies too though its node lives
    (``oom`` if memory ran out there). A node can die under several candidates in a row:
    ``max_attempts`` bounds that. Trials behind a suspect lose no attempt.

    Args:
        factory: makes the function that scores a trial; called once in each worker.
        arrays: what the factory gets, by name.
        workers: a fixed number of actors, which must fit on the cluster as it is.
        min_workers: instead, the fewest that a run goes on with for long; one by default.
        max_workers: the most. They are asked for whether they fit or not, so that a cluster which
            grows by demand does; without it, there are as many as fit.
        cpus_per_worker: CPUs that Ray reserves for each; fractions share one.
        gpus_per_worker: GPUs that Ray reserves for each; fractions share one, and its memory.
        timeout_s: deadline of one candidate in seconds, counted from when its worker is ready and
            done with earlier ones; none by default. The worker of an overdue one is replaced.
        max_attempts: how many lost workers make a candidate ``crashed`` at the latest.

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
            ClusterError: too few workers come up, or the cluster's head answers no more.
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
        """Collect, without waiting, all that is known by now; stop what is overdue."""
        awaited = self._crew.awaited()
        refs = list(awaited)
        ready, _ = ray.wait(refs, num_returns=len(refs), timeout=0) if refs else ([], [])
        records, hellos = [], []
        for ref, value in zip(ready, _values(ready), strict=True):
            worker = awaited[ref]
            if worker not in self._crew.members:
                continue  # it was retired a moment ago
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
        """Fill every free place, the emptiest worker first; return whether the trials ran out."""
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
        """Wait for an answer, until a deadline passes, or for a glance at the nodes."""
        now, (shortest_s, longest_s) = time.monotonic(), GLANCE_S
        left_s = [w.since + self._timeout_s - now for w in self._crew.ready if w.calls]
        patience_s = max(min([*left_s, longest_s]), shortest_s)
        if refs := list(self._crew.awaited()):
            ray.wait(refs, num_returns=1, timeout=patience_s)
        else:
            time.sleep(patience_s)

    def _settle(self, worker: Worker, ref: ObjectRef, answer: Answer | RayTaskError) -> Record:
        """Take an answer; an error of the call itself is a record that could not be sent."""
        candidate = worker.take(ref)
        if isinstance(answer, RayTaskError):
            return worker.sign(failure(candidate.trial, answer.cause), candidate)
        worker.busy_s += answer.busy_s
        worker.memory_kills = answer.memory_kills
        return worker.sign(answer.record, candidate)

    def _bury(self, worker: Worker, error: Exception | None) -> list[Record]:
        """Retire a worker that died, of ``error`` or with its node.

        Returns:
            What it finished, and its suspect if that is not tried again.
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
        """Take what a dead worker answered before it died."""
        refs = list(worker.calls)
        if refs:
            ray.wait(refs, num_returns=len(refs), timeout=patience_s)
        answers = [(ref, _value(ref)) for ref in refs]
        known = [(ref, a) for ref, a in answers if isinstance(a, Answer | RayTaskError)]
        return [self._settle(worker, ref, answer) for ref, answer in known]

    def _ran_out_of_memory(self, worker: Worker, error: Exception | None) -> bool:
        """Tell whether a worker on a node that lives was killed for memory, by Ray or by Linux."""
        if isinstance(error, OutOfMemoryError):
            return True
        there = NodeAffinitySchedulingStrategy(worker.node_id, soft=False)
        count = ray.remote(memory_kills).options(num_cpus=0, scheduling_strategy=there).remote()
        found, _ = ray.wait([count], timeout=COUNT_S)
        now = _value(found[0]) if found else None
        return isinstance(now, int) and now > worker.memory_kills

    def _is_overdue(self, worker: Worker) -> bool:
        """Tell whether a worker's candidate outlasted its deadline.

        Where its node may be silent, it is asked first: the candidate may have ended long ago.
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
        """Retire a worker for a reason that casts no doubt on what it did not finish."""
        for candidate in self._crew.retire(worker, reason):
            self._send_again(candidate, worker, f"the worker it was to go to was retired: {reason}")

    def _send_again(self, candidate: Candidate, worker: Worker, reason: str) -> None:
        self._returned.append(candidate)
        key = candidate.trial.architecture.key
        self.on_notice(Notice("requeued", worker.name, worker.node, reason, key, candidate.attempt))


def _crash(candidate: Candidate, death: str, memory: bool) -> Record:
    """Return the record of a candidate that is not tried again; Ray's log says what it knows."""
    text = f"its worker died in each of {candidate.attempt} attempts, last by {death}"
    if memory:
        text += "; memory ran out there"
    return Record.of(candidate.trial, Status.OOM if memory else Status.CRASHED, error=text)


def _values(refs: list[ObjectRef]) -> list[Any]:
    """Get answers that are ready, all in one call unless one of them is an error."""
    try:
        return list(ray.get(refs))
    except Exception:  # the error of any one of them
        return [_value(ref) for ref in refs]


def _value(ref: ObjectRef) -> Any:
    """Get one answer; an error is returned, not raised."""
    try:
        return ray.get(ref, timeout=0)
    except Exception as error:  # RayError, or a candidate's own mixed with RayTaskError
        return error
