"""The interface of every executor: it takes trials and yields their records as they finish."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, Self

from gtn_nas.errors import ConfigError, one_line
from gtn_nas.trial import Arrays, Evaluate, Record, Status, Trial, status_of


class EvaluatorFactory(Protocol):
    """Makes the function that scores trials; picklable, called once in each worker."""

    def __call__(self, arrays: Arrays) -> Evaluate:
        """Prepare a worker, e.g. move the arrays to its device.

        Args:
            arrays: the shared arrays, read-only. Workers of one machine see the same memory pages,
                and a tensor made by ``torch.from_numpy`` could write to these: copy first.
        """


@dataclass(frozen=True)
class Notice:
    """An event of a run: a worker joined or left, or a trial must be evaluated once more.

    Attributes:
        kind: which of the three events it is.
        worker: the worker's name; empty if it left before it was ready.
        node: first digits of the id of the worker's node.
        about: the host's name if a worker joined, else the reason of the event.
        key: key of the requeued trial's architecture.
        attempt: number of the requeued trial's next attempt, counted from 1.
    """

    kind: Literal["worker_joined", "worker_left", "requeued"]
    worker: str
    node: str
    about: str
    key: str | None = None
    attempt: int | None = None


@dataclass(frozen=True)
class Load:
    """How busy an executor is.

    Attributes:
        workers: number of ready workers on each node.
        utilisation: share (0-1) of all workers' time so far that was spent evaluating candidates.
    """

    workers: Mapping[str, int]
    utilisation: float


class Executor(ABC):
    """Evaluates trials on its workers.

    Use it as a context manager, or call ``close``. A trial whose evaluation raises, takes too long
    or kills its worker still gives a record. Only a failure that would hit every other candidate
    too ends a run.

    Attributes:
        on_notice: called with each event of the workers, in the thread that runs the trials.
    """

    on_notice: Callable[[Notice], None] = staticmethod(lambda notice: None)

    @property
    def workers(self) -> int:
        """How many trials can be evaluated at the same time now; it can change during a run."""
        return sum(self.load().workers.values())

    @abstractmethod
    def load(self) -> Load:
        """Return how busy the workers are."""

    @abstractmethod
    def run(self, trials: Iterable[Trial]) -> Iterator[Record]:
        """Evaluate every trial and yield its record as soon as it is finished.

        A trial is pulled only when a worker has room for it, and after every finished record was
        yielded. So the iterable can choose the next trial from the records seen so far. At most two
        pulled trials per worker have no record yet. If the iterable raises, or the caller stops
        early, the running evaluations are given up.

        Yields:
            One record for each trial, in the order in which they finish.

        Raises:
            EnvironmentFailure: no evaluator could be made from the factory.
        """

    @abstractmethod
    def close(self) -> None:
        """Release the workers; further calls do nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def attempt(evaluate: Evaluate, trial: Trial) -> Record:
    """Evaluate a trial, and turn an exception into a record.

    ``KeyboardInterrupt``, ``SystemExit`` and ``DeadlinePassed`` pass through.
    """
    try:
        record = evaluate(trial)
        if not isinstance(record, Record):
            raise TypeError(f"the evaluator returned {type(record).__name__}, not a Record")
    except (KeyboardInterrupt, SystemExit, DeadlinePassed):
        raise
    except BaseException as error:  # the panics of some extension modules are no `Exception`
        return failure(trial, error)
    return record


def failure(trial: Trial, error: BaseException) -> Record:
    """Return the record of a trial that raised."""
    return Record.of(trial, status_of(error), error=one_line(error))


def timeout(trial: Trial, timeout_s: float) -> Record:
    """Return the record of a trial that exceeded its time limit."""
    return Record.of(trial, Status.TIMEOUT, error=f"not finished after {timeout_s:g} s")


def require_positive(**options: float | None) -> None:
    """Check that every given option is above zero; an option of ``None`` was not given.

    Raises:
        ConfigError: an option is zero or less.
    """
    for name, value in options.items():
        if value is not None and not value > 0:
            raise ConfigError(f"{name} must be above 0, not {value}")


class DeadlinePassed(BaseException):
    """Raised inside a candidate when its time is up.

    It is no ``Exception``, so that a candidate's own ``except Exception`` does not catch it.
    """
