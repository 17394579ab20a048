"""What every back-end offers: all that a search needs workers for."""

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
    """Where one search is computed: its candidates, its latencies and its full trainings.

    Importing an implementation must be cheap, and must not import what it distributes work with;
    its methods do.

    Args:
        config: the run's configuration; it says how many workers of which size are wanted.
    """

    def __init__(self, config: SearchConfig) -> None:
        self.config = config

    @abstractmethod
    def connected(self) -> AbstractContextManager[str | None]:
        """Return a context inside which all other methods may be called.

        Its value is the address of a dashboard, if there is one.

        Raises:
            ClusterError: no cluster answers.
        """

    @abstractmethod
    def executor(
        self, factory: EvaluatorFactory, arrays: Arrays, workers: int | None = None
    ) -> Executor:
        """Start what evaluates trials.

        Args:
            factory: makes the function that each worker evaluates trials with.
            arrays: what the factory gets.
            workers: how many, where there can be several; by default what the configuration says.

        Raises:
            ResourceError: workers of this number and size have no room.
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
        """Train every job fully; one that was interrupted goes on from its last saved state.

        Args:
            task: what the jobs share.
            jobs: what to train.
            folder: where states are kept, one folder a candidate.
            on_report: called in this process after every epoch.
            on_final: called in this process when a job has ended, however it did.
            ends: tells in this process which trainings end early; by default none.

        Raises:
            ResourceError: there is no room for a full training.
            EnvironmentFailure: what trains them failed, or one of the functions called did.
        """
