"""A back-end on Ray: warm actors evaluate candidates, Ray Tune trains the finals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager

from gtn_nas.executors import EvaluatorFactory, Executor
from gtn_nas.searching.backends.base import Backend
from gtn_nas.storage.files import Place
from gtn_nas.training.final import Ends, FinalJob, FinalTask, OnFinal, OnReport
from gtn_nas.trial import Arrays


class RayBackend(Backend):
    """Uses a Ray cluster, or a private Ray on this machine; see ``Backend``.

    Ray must not be imported before ``connected`` is entered, so the methods import it.
    """

    def connected(self) -> AbstractContextManager[str | None]:
        """Return a context manager that connects to the configured cluster."""
        from gtn_nas.executors import connect

        return connect(self.config.address)

    def executor(
        self, factory: EvaluatorFactory, arrays: Arrays, workers: int | None = None
    ) -> Executor:
        """Start actors; ``workers``, if given, replaces the configured number and its range."""
        from gtn_nas.executors import RayExecutor

        config = self.config
        return RayExecutor(
            factory,
            arrays,
            workers=workers or config.workers,
            min_workers=None if workers else config.min_workers,
            max_workers=None if workers else config.max_workers,
            cpus_per_worker=config.cpus_per_worker,
            gpus_per_worker=config.gpus_per_worker,
            timeout_s=config.timeout_s,
        )

    def side_by_side(self) -> int:
        """Return how many full trainings fit on the cluster at once."""
        from gtn_nas.executors.cluster import check_fits

        return check_fits(None, self.config.cpus_per_worker, self._gpus)

    def train(
        self,
        task: FinalTask,
        jobs: Sequence[FinalJob],
        folder: Place,
        on_report: OnReport,
        on_final: OnFinal,
        ends: Ends | None = None,
    ) -> None:
        """Train the jobs as trials of Ray Tune."""
        from gtn_nas.training.tune_trials import train_with_tune

        cpus = self.config.cpus_per_worker
        train_with_tune(
            task, jobs, folder, on_report, on_final, cpus=cpus, gpus=self._gpus, ends=ends
        )

    @property
    def _gpus(self) -> int:
        """GPUs of a full training: always whole ones, though a proxy may use a fraction."""
        return math.ceil(self.config.gpus_per_worker)
