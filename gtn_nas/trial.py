"""What travels between controller, strategies, executors and results: trials and records."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from gtn_nas.architecture import Architecture
from gtn_nas.errors import one_line

if TYPE_CHECKING:  # NumPy takes a tenth of a second, and readers of results do without
    from numpy.typing import NDArray

SCHEMA_VERSION = 1

Arrays: TypeAlias = "Mapping[str, NDArray[Any]]"
"""What all workers share, by name: a lesson's batches, validation images and the like."""


class Status(StrEnum):
    """How the evaluation of a trial ended."""

    OK = "ok"
    FAILED = "failed"
    """The candidate raised an error."""
    DIVERGED = "diverged"
    """Its loss became non-finite."""
    TIMEOUT = "timeout"
    """It outlasted its deadline."""
    OOM = "oom"
    """It ran out of memory."""
    CRASHED = "crashed"
    """It ended its worker process."""
    STOPPED = "stopped"
    """Its full training was ended early, since others were ahead."""


def status_of(error: BaseException) -> Status:
    """Return how an evaluation ended that raised ``error``."""
    # By name, since torch need not be there; its CPU allocator raises a plain RuntimeError.
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & {"MemoryError", "OutOfMemoryError"} or "allocate memory" in one_line(error):
        return Status.OOM
    return Status.DIVERGED if isinstance(error, FloatingPointError) else Status.FAILED


@dataclass(frozen=True)
class Trial:
    """An architecture to evaluate at a budget.

    Attributes:
        architecture: canonical architecture.
        budget: training steps of the proxy.
        ask_index: position in the sequence of all asks of the run; set by ``Strategy.ask``.
        parent_key: key of the architecture it was mutated from, if any.
        seed: seed of weights and data order; set by the controller: the run's.
        evaluation_id: hash of everything else that a score depends on; set by the controller.
    """

    architecture: Architecture
    budget: int
    ask_index: int = -1
    parent_key: str | None = None
    seed: int = 0
    evaluation_id: str = ""


@dataclass(frozen=True)
class Record:
    """Everything kept about one evaluated trial: one row of the candidates table.

    Times are in seconds, accuracies are fractions 0-1, losses are cross-entropies in nats.
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
    stage: str = "proxy"
    scale: str = "proxy"
    error: str | None = None
    proxy_errors: str | None = None
    """Why a proxy has no score: a JSON object of reasons by column."""
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
        """Start a record from its trial."""
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
        """The architecture this record is about."""
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
    """Place among the candidates that led to this training; the best is 1."""
    status: Status
    run: str = ""
    scale: str = "final"
    error: str | None = None
    predicted_accuracy: float | None = None
    """The validation accuracy by which the predictor chose it; null if the ranking did."""
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
"""Scores one trial in a worker; may raise, the executor turns what it raises into a record."""


def derived_seed(*parts: object) -> int:
    """Return a seed below 2**31 that depends on every part and on nothing else."""
    text = ":".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") & 0x7FFFFFFF
