"""Evaluation by warm actors of a Ray cluster."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import ray
from ray import ObjectRef, cloudpickle
from ray.exceptions import OutOfMemoryError, RayTaskError

from gtn_nas.errors import ClusterError, EnvironmentFailure, one_line
from gtn_nas.executors.base import (
    Arrays,
    EvaluatorFactory,
    Executor,
    failure,
    require_positive,
    timeout,
)
from gtn_nas.executors.cluster import check_fits
from gtn_nas.executors.ray_worker import Candidate, EvaluatorActor, Worker
from gtn_nas.trial import Record, Status, Trial

IN_FLIGHT = 2
"""Trials sent to one worker: the one it evaluates and the next."""

START_S = 300.0
"""How long a run waits for its first worker, e.g. behind the jobs of others."""

STARTS = 3
"""After so many workers in a row that did not become ready, a run ends."""

LAST_NEWS_S = 5.0
"""How long a dead worker's other calls may take to be known as lost."""

BROKEN_DEVICE = "AcceleratorError"
"""What torch raises when a GPU's context is lost: every later candidate of that process fails."""


class RayExecutor(Executor):
    """Warm actors on the Ray cluster that this process is connected to (see ``connect``).

    Workers are started once and keep their CPUs and GPUs until ``close``; a later run starts them
    again. Each array is put into Ray's object store once, and workers of one machine read it from
    the same pages. Ray sets ``OMP_NUM_THREADS`` of a worker to its whole CPUs, at least one, unless
    the environment it was started from sets it.

    A worker takes its calls in order, so when it dies the oldest of them is the suspect: it is
    tried again, alone on a worker, up to ``max_attempts`` times. Trials behind it lose no attempt.
    Workers that die are replaced by fresh ones.

    Args:
        factory: makes the function that scores a trial; called once in each worker.
        arrays: what the factory gets, by name.
        workers: number of actors; by default as many as the cluster has room for.
        cpus_per_worker: CPUs that Ray reserves for each; fractions share one.
        gpus_per_worker: GPUs that Ray reserves for each; fractions share one, and its memory.
        timeout_s: deadline of one candidate in seconds, counted from when its worker is ready and
            done with earlier ones; none by default. The worker of an overdue one is replaced.
        max_attempts: how many dead workers make a candidate ``crashed`` (``oom`` if the node ran
            out of memory at the last).

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
        cpus_per_worker: float = 1,
        gpus_per_worker: float = 0,
        timeout_s: float | None = None,
        max_attempts: int = 3,
    ) -> None:
        require_positive(
            workers=workers,
            cpus_per_worker=cpus_per_worker,
            timeout_s=timeout_s,
            max_attempts=max_attempts,
        )
        if not ray.is_initialized():  # Ray would silently join or start a cluster of its choice
            raise ClusterError("not connected to Ray; use gtn_nas.executors.connect first")
        self.workers = check_fits(workers, cpus_per_worker, gpus_per_worker)
        self._timeout_s = math.inf if timeout_s is None else timeout_s
        self._max_attempts = max_attempts
        self._factory = cloudpickle.dumps(factory)
        # Kept here for as long as a fresh worker may need them: no reference, no array.
        self._arrays = {name: ray.put(array) for name, array in arrays.items()}
        self._actor = ray.remote(EvaluatorActor).options(
            num_cpus=cpus_per_worker, num_gpus=gpus_per_worker, max_restarts=0, max_task_retries=0
        )
        self._crew: list[Worker] = []
        self._answers: dict[ObjectRef, Worker] = {}  # what is awaited, in the order of sending
        self._returned: deque[Candidate] = deque()  # trials of workers that died
        self._failed_starts = 0
        self._last_ready = 0.0  # when a worker was last seen ready, on the monotonic clock
        self._fill()

    def run(self, trials: Iterable[Trial]) -> Iterator[Record]:
        """Evaluate the trials on all workers; see ``Executor.run``.

        Raises:
            ClusterError: no worker comes up.
            EnvironmentFailure: no evaluator could be made from the factory.
        """
        source = iter(trials)
        self._failed_starts, self._last_ready = 0, time.monotonic()
        try:
            while True:
                if records := self._finished():
                    yield from records
                    continue
                ran_out = self._feed(source)
                if ran_out and not any(worker.calls for worker in self._crew):
                    return
                ray.wait(list(self._answers), num_returns=1, timeout=self._patience_s())
        finally:
            for worker in [worker for worker in self._crew if worker.calls]:
                self._retire(worker)
            self._returned.clear()

    def close(self) -> None:
        """End the workers and free what they reserved."""
        for worker in list(self._crew):
            self._retire(worker)
        self._returned.clear()

    def _finished(self) -> list[Record]:
        """Collect, without waiting, all that is known by now; stop what is overdue."""
        awaited = list(self._answers)
        ready, _ = ray.wait(awaited, num_returns=len(awaited), timeout=0) if awaited else ([], [])
        records, hellos = [], []
        for ref, value in zip(ready, _values(ready), strict=True):
            worker = self._answers.get(ref)
            if worker is None:
                continue  # its worker was retired a moment ago
            if ref == worker.hello:
                hellos.append((worker, value))
            elif isinstance(value, Record | RayTaskError):
                records.append(self._settle(worker, ref, value))
                if (records[-1].error or "").startswith(BROKEN_DEVICE):
                    self._retire(worker)
            else:
                records += self._bury(worker, value)
        for worker, value in [] if records else hellos:  # may raise: records are yielded first
            self._greet(worker, value)
        overdue = [worker for worker in self._crew if self._left_s(worker) <= 0]
        return records + [self._stop(worker) for worker in overdue]

    def _feed(self, source: Iterator[Trial]) -> bool:
        """Fill every free place, the emptiest worker first; return whether the trials ran out."""
        self._fill()
        while True:
            alone = bool(self._returned) and self._returned[0].alone
            places = [worker for worker in self._crew if worker.has_room(alone, IN_FLIGHT)]
            if not places:
                return False
            if self._returned:
                candidate = self._returned.popleft()
            elif (trial := next(source, None)) is not None:
                candidate = Candidate(trial)
            else:
                return True
            worker = min(places, key=lambda place: len(place.calls))
            self._answers[worker.send(candidate)] = worker

    def _fill(self) -> None:
        """Start the workers that are missing."""
        while len(self._crew) < self.workers:
            handle = self._actor.remote()
            worker = Worker(handle, handle.prepare.remote(self._factory, self._arrays))
            self._crew.append(worker)
            self._answers[worker.hello] = worker

    def _greet(self, worker: Worker, answer: tuple[str, str, str | None] | Exception) -> None:
        """Let a worker that is ready take part."""
        if not isinstance(answer, Exception) and answer[2] is None:
            del self._answers[worker.hello]
            worker.name, worker.node = f"ray-{answer[0][:8]}", answer[1][:8]
            self._failed_starts = 0
            return
        self._retire(worker)
        self._failed_starts += 1
        if self._failed_starts < STARTS:
            return
        if isinstance(answer, Exception):
            raise ClusterError(f"{STARTS} workers died while they started: {one_line(answer)}")
        raise EnvironmentFailure(f"no evaluator could be made on node {answer[1][:8]}: {answer[2]}")

    def _settle(self, worker: Worker, ref: ObjectRef, answer: Record | RayTaskError) -> Record:
        """Take an answer; an error of the call itself is a record that could not be sent."""
        candidate = self._take(worker, ref)
        if isinstance(answer, RayTaskError):
            answer = failure(candidate.trial, answer.cause)
        return worker.sign(answer, candidate)

    def _bury(self, worker: Worker, error: Exception) -> list[Record]:
        """Retire a worker that died; return what it finished and what has no attempt left."""
        refs = list(worker.calls)
        ray.wait(refs, num_returns=len(refs), timeout=LAST_NEWS_S)
        records = [
            self._settle(worker, ref, answer)
            for ref, answer in [(ref, _value(ref)) for ref in refs]
            if isinstance(answer, Record | RayTaskError)
        ]
        worker.isolate()
        if worker.calls:
            suspect = self._take(worker, next(iter(worker.calls)))
            if suspect.attempt < self._max_attempts:
                self._returned.append(replace(suspect, attempt=suspect.attempt + 1))
            else:
                records.append(worker.sign(_crash(suspect, error), suspect))
        self._retire(worker)
        return records

    def _stop(self, worker: Worker) -> Record:
        """Retire a worker whose candidate is overdue."""
        overdue = self._take(worker, next(iter(worker.calls)))
        self._retire(worker)
        return worker.sign(timeout(overdue.trial, self._timeout_s), overdue)

    def _take(self, worker: Worker, ref: ObjectRef) -> Candidate:
        del self._answers[ref]
        return worker.take(ref)

    def _retire(self, worker: Worker) -> None:
        """End a worker's process, if it still runs; what it did not finish is sent again."""
        for ref in (worker.hello, *worker.calls):
            self._answers.pop(ref, None)
        self._returned.extend(worker.calls.values())
        self._crew.remove(worker)
        if ray.is_initialized():
            ray.kill(worker.handle)

    def _left_s(self, worker: Worker) -> float:
        """Return the seconds until the deadline of what a worker evaluates."""
        return worker.since + self._timeout_s - time.monotonic() if worker.calls else math.inf

    def _patience_s(self) -> float | None:
        """Return how long only an answer can change anything; ``None`` for any time.

        Raises:
            ClusterError: no worker has been ready for too long.
        """
        now = time.monotonic()
        left = [self._left_s(worker) for worker in self._crew]
        if any(worker.name for worker in self._crew):
            self._last_ready = now
        else:
            left.append(self._last_ready + START_S - now)
            if left[-1] <= 0:
                free = ray.available_resources()
                raise ClusterError(
                    f"no worker came up within {START_S:g} s; free on the cluster now: "
                    f"{free.get('CPU', 0):g} CPUs, {free.get('GPU', 0):g} GPUs"
                )
        return max(min(left), 0.0) if min(left) < math.inf else None


def _crash(suspect: Candidate, error: Exception) -> Record:
    """Return the record of a candidate with no attempt left; Ray's log says what it knows."""
    status = Status.OOM if isinstance(error, OutOfMemoryError) else Status.CRASHED
    text = f"its worker died in each of {suspect.attempt} attempts, last by {type(error).__name__}"
    return Record.of(suspect.trial, status, error=text)


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
