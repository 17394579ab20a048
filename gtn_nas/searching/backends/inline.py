"""A back-end that computes everything in this process, one after the other and without Ray."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from gtn_nas.executors.base import EvaluatorFactory
from gtn_nas.executors.inline import InlineExecutor
from gtn_nas.searching.backends.base import Backend
from gtn_nas.storage.files import Place
from gtn_nas.training.final import Ends, FinalJob, FinalTask, OnFinal, OnReport
from gtn_nas.training.inline import train_inline
from gtn_nas.trial import Arrays


class InlineBackend(Backend):
    """Uses this process as the only worker, so that a debugger can stop in it; see ``Backend``."""

    def connected(self) -> AbstractContextManager[None]:
        """Return a context manager that does nothing."""
        return nullcontext()

    def executor(
        self, factory: EvaluatorFactory, arrays: Arrays, workers: int | None = None
    ) -> InlineExecutor:
        """Return an executor that evaluates a trial when its record is asked for."""
        return InlineExecutor(factory, arrays, self.config.timeout_s, self._threads)

    def side_by_side(self) -> int:
        """Return 1."""
        return 1

    def train(
        self,
        task: FinalTask,
        jobs: Sequence[FinalJob],
        folder: Place,
        on_report: OnReport,
        on_final: OnFinal,
        ends: Ends | None = None,
    ) -> None:
        """Train one job after the other."""
        train_inline(task, jobs, folder, on_report, on_final, threads=self._threads, ends=ends)

    @property
    def _threads(self) -> int:
        """Number of torch threads: as many as a Ray worker of this configuration has."""
        return max(int(self.config.cpus_per_worker), 1)
