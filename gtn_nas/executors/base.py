"""What every executor offers: trials go in, records come out as they finish."""

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
                and ``torch.from_numpy`` would let them be written through: copy first.
        """


@dataclass(frozen=True)
class Notice:
    """Something that happened to a worker, or to a trial on its way.

    Attributes:
        kind: a worker takes part, takes part no more, or a trial is to be evaluated once more.
        worker: its name; empty if it never took part.
        node: first digits of the id of its node.
        about: why; of a worker that joined, the name of its host.
        key: the trial's architecture.
        attempt: which one comes next, counted from 1.
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
        workers: those that take part now, counted by node.
        utilisation: share (0-1) of the time of all workers so far that was inside candidates.
    """

    workers: Mapping[str, int]
    utilisation: float


class Executor(ABC):
    """Evaluates trials on its workers.

    Use it as a context manager, or call ``close``. A trial whose evaluation raises, takes too long
    or ends its worker still gives a record; only a failure that no other candidate would escape
    ends a run.

    Attributes:
        on_notice: called with what happens beside records, in the thread that runs the trials.
    """

    on_notice: Callable[[Notice], None] = staticmethod(lambda notice: None)

    @property
    def workers(self) -> int:
        """How many trials are evaluated at the same time now; it can change while they are."""
        return sum(self.load().workers.values())

    @abstractmethod
    def load(self) -> Load:
        """Return how busy the workers are."""

    @abstractmethod
    def run(self, trials: Iterable[Trial]) -> Iterator[Record]:
        """Evaluate every trial and yield its record as soon as it is there.

        A trial is pulled only when a worker has room for it, and after every finished record was
        yielded, so that an iterable can choose a trial by the records seen so far. At most two
        trials per worker are pulled and not yet yielded. An iterable that raises, or a caller that
        stops early, gives up the evaluations under way.

        Yields:
            One record for each trial, in the order in which they finish.

        Raises:
            EnvironmentFailure: no evaluator could be made from the factory.
        """

    @abstractmethod
    def close(self) -> None:
        """Release the workers; harmless when repeated."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def attempt(evaluate: Evaluate, trial: Trial) -> Record:
    """Evaluate a trial, and turn whatever it raises into a record.

    Only what asks the whole process to stop passes through: ``KeyboardInterrupt``, ``SystemExit``
    and ``DeadlinePassed``.
    """
    try:
        record = evaluate(trial)
        if not isinstance(record, Record):
            raise TypeError(f"the evaluator returned {type(record).__name__}, not a Record")
    except (KeyboardInterrupt, SystemExit, DeadlinePassed):
        raise
    except BaseException as error:  # some extension modules raise past Exception when they panic
        return failure(trial, error)
    return record


def failure(trial: Trial, error: BaseException) -> Record:
    """Return the record of a trial that raised."""
    return Record.of(trial, status_of(error), error=one_line(error))


def timeout(trial: Trial, timeout_s: float) -> Record:
    """Return the record of a trial that outlasted its deadline."""
    return Record.of(trial, Status.TIMEOUT, error=f"not finished after {timeout_s:g} s")


def require_positive(**options: float | None) -> None:
    """Check options that must be above zero where they are given.

    Raises:
        ConfigError: one of them is not.
    """
    for name, value in options.items():
        if value is not None and not value > 0:
            raise ConfigError(f"{name} must be above 0, not {value}")


class DeadlinePassed(BaseException):
    """Raised inside a candidate of this process; past ``except Exception`` on purpose."""
