"""The interface of back-ends: everything that a search needs workers for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager

from gtn_nas.config.search import SearchConfig
from gtn_nas.executors.base import EvaluatorFactory, Executor
from gtn_nas.storage.files import Place
from gtn_nas.training.final import Ends, FinalJob, FinalTask, OnFinal, OnReport
from gtn_nas.trial import Arrays


class Backend(ABC):
    """Computes one search: evaluates its candidates, measures latencies, trains its finals.

    Importing an implementation must be cheap. A module that distributes work, such as Ray, must be
    imported inside methods.

    Args:
        config: the run's configuration, with the number and the size of workers.
    """

    def __init__(self, config: SearchConfig) -> None:
        self.config = config

    @abstractmethod
    def connected(self) -> AbstractContextManager[str | None]:
        """Return a context manager; all other methods may be called only inside it.

        It yields the address of a dashboard, or ``None`` if there is none.

        Raises:
            ClusterError: no cluster answers.
        """

    @abstractmethod
    def executor(
        self, factory: EvaluatorFactory, arrays: Arrays, workers: int | None = None
    ) -> Executor:
        """Start an executor, which evaluates trials.

        Args:
            factory: makes the function with which a worker evaluates trials.
            arrays: argument of the factory, shared by all workers.
            workers: number of workers; by default that of the configuration. A back-end that has
                a single worker ignores it.

        Raises:
            ResourceError: there is no room for so many workers of this size.
        """

    @abstractmethod
    def side_by_side(self) -> int:
        """Return how many networks ``train`` trains at once."""

    @abstractmethod
    def train(
        self,
        task: FinalTask,
        jobs: Sequence[FinalJob],
        folder: Place,
        on_report: OnReport,
        on_final: OnFinal,
        ends: Ends | None = None,
    ) -> None:
        """Train every job fully; an interrupted job goes on from its last saved state.

        Args:
            task: search space, data and settings that all jobs share.
            jobs: candidates to train.
            folder: holds the saved states, in one folder for each candidate.
            on_report: called in this process after every epoch.
            on_final: called in this process when a job has ended, with whatever status.
            ends: decides, in this process, which trainings end early; by default none.

        Raises:
            ResourceError: there is no room for a full training.
            EnvironmentFailure: the back-end failed, or ``on_report``, ``on_final`` or ``ends``.
        """
