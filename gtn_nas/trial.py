"""Trials and records, which controller, strategies, executors and results exchange."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from gtn_nas.architecture import Architecture
from gtn_nas.errors import one_line

if TYPE_CHECKING:  # importing NumPy takes 0.1 s, and code that reads results does not need it
    from numpy.typing import NDArray

SCHEMA_VERSION = 2
"""Of a run's rows. Those of version 1 have two more columns, ``stage`` and ``scale``."""

Arrays: TypeAlias = "Mapping[str, NDArray[Any]]"
"""Arrays that all workers share, by name, such as a lesson's batches and validation images."""


class Status(StrEnum):
    """How the evaluation of a trial ended."""

    OK = "ok"
    FAILED = "failed"
    """The candidate raised an error."""
    DIVERGED = "diverged"
    """The candidate's loss became non-finite."""
    TIMEOUT = "timeout"
    """The candidate took longer than its time limit."""
    OOM = "oom"
    """The candidate ran out of memory."""
    CRASHED = "crashed"
    """The candidate's worker process died."""
    STOPPED = "stopped"
    """The candidate's full training was ended early, since others were ahead."""


def status_of(error: BaseException) -> Status:
    """Return the status of an evaluation that raised ``error``."""
    # Classes are compared by name, since torch may not be installed. Its CPU allocator raises a
    # plain RuntimeError, which only the message tells apart.
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & {"MemoryError", "OutOfMemoryError"} or "allocate memory" in one_line(error):
        return Status.OOM
    return Status.DIVERGED if isinstance(error, FloatingPointError) else Status.FAILED


@dataclass(frozen=True)
class Trial:
    """An architecture to evaluate with a given budget.

    Attributes:
        architecture: canonical architecture.
        budget: training steps of the proxy.
        ask_index: position in the sequence of all asks of the run; set by ``Strategy.ask``.
        parent_key: key of the architecture it was mutated from, if any.
        seed: seed of weights and data order. The controller sets it to the run's seed.
        evaluation_id: hash of everything else that a score depends on, set by the controller.

    Example:
        >>> from gtn_nas.architecture import Architecture
        >>> from gtn_nas.trial import Trial
        >>> Trial(Architecture("my_space", {"width": 16}), budget=32, ask_index=0).budget
        32
    """

    architecture: Architecture
    budget: int
    ask_index: int = -1
    parent_key: str | None = None
    seed: int = 0
    evaluation_id: str = ""


@dataclass(frozen=True)
class Record:
    """The result of one evaluated trial: one row of the candidates table.

    Times are in seconds, accuracies are fractions 0-1, losses are cross-entropies in nats.

    Example:
        >>> from gtn_nas.architecture import Architecture
        >>> from gtn_nas.trial import Record, Status, Trial
        >>> trial = Trial(Architecture("my_space", {"width": 16}), budget=32, ask_index=0)
        >>> record = Record.of(trial, Status.OK, proxy_accuracy=0.9, extra={"my_score": 1.5})
        >>> record.key == trial.architecture.key, record.choices
        (True, '{"width":16}')
    """

    key: str
    space: str
    choices: str
    budget: int
    seed: int
    ask_index: int
    status: Status
    run: str = ""
    evaluation_id: str = ""
    error: str | None = None
    proxy_errors: str | None = None
    """Why proxies have no score: a JSON object from column to reason."""
    proxy_accuracy: float | None = None
    proxy_loss: float | None = None
    params: int | None = None
    flops: int | None = None
    depth: int | None = None
    tell_index: int = -1
    train_s: float | None = None
    eval_s: float | None = None
    worker: str = ""
    node: str = ""
    device: str = ""
    threads: int | None = None
    torch_version: str = ""
    attempt: int = 1
    parent_key: str | None = None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    schema_version: int = SCHEMA_VERSION
    extra: Mapping[str, float] = field(default_factory=dict)
    """Further proxy scores by column name; each becomes a column of its own."""

    @classmethod
    def of(cls, trial: Trial, status: Status, **values: Any) -> Record:
        """Create a record with the fields of its trial, a status and further values."""
        return cls(
            key=trial.architecture.key,
            space=trial.architecture.space,
            choices=trial.architecture.to_json(),
            budget=trial.budget,
            seed=trial.seed,
            ask_index=trial.ask_index,
            evaluation_id=trial.evaluation_id,
            parent_key=trial.parent_key,
            status=status,
            **values,
        )

    @property
    def architecture(self) -> Architecture:
        """The evaluated architecture."""
        return Architecture.from_json(self.space, self.choices)


@dataclass(frozen=True)
class Final:
    """A candidate that was fully trained: one row of the finals table.

    Times are in seconds, accuracies are fractions 0-1, losses are cross-entropies in nats.
    """

    key: str
    space: str
    choices: str
    rank: int
    """Rank of the candidate when it was chosen for full training; the best has 1."""
    status: Status
    run: str = ""
    error: str | None = None
    predicted_accuracy: float | None = None
    """Validation accuracy that the predictor expected when it chose this candidate; null if the
    ranking chose it."""
    validation_accuracy: float | None = None
    validation_loss: float | None = None
    test_accuracy: float | None = None
    test_loss: float | None = None
    best_epoch: int | None = None
    epochs: int | None = None
    params: int | None = None
    flops: int | None = None
    train_s: float | None = None
    seed: int = 0
    device: str = ""
    node: str = ""
    weights: str | None = None
    """Path of the trained weights, relative to the run folder."""
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    schema_version: int = SCHEMA_VERSION


Evaluate = Callable[[Trial], Record]
"""Scores one trial in a worker. An executor records any error that it raises."""


def derived_seed(*parts: object) -> int:
    """Return a seed below 2**31 that depends on every part and on nothing else."""
    text = ":".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") & 0x7FFFFFFF
