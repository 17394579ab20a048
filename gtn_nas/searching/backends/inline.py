"""Everything in this process, one after the other and without Ray."""

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
    """This process: one worker, in which a debugger can stop; see ``Backend``."""

    def connected(self) -> AbstractContextManager[None]:
        """Return a context that does nothing."""
        return nullcontext()

    def executor(
        self, factory: EvaluatorFactory, arrays: Arrays, workers: int | None = None
    ) -> InlineExecutor:
        """Return what evaluates a trial when it is asked for its record."""
        return InlineExecutor(factory, arrays, self.config.timeout_s, self._threads)

    def side_by_side(self) -> int:
        """Return one."""
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
        """Threads of torch: as many as a Ray worker of the same configuration has."""
        return max(int(self.config.cpus_per_worker), 1)
