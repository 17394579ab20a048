"""Finals one after the other, in this process and without Ray."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from gtn_nas.storage.files import Place
from gtn_nas.training.final import (
    Ends,
    FinalJob,
    FinalTask,
    OnFinal,
    OnReport,
    stopped,
    train_from_state,
)
from gtn_nas.training.train import EpochReport


def train_inline(
    task: FinalTask,
    jobs: Sequence[FinalJob],
    folder: Place,
    on_report: OnReport,
    on_final: OnFinal,
    *,
    threads: int = 1,
    ends: Ends | None = None,
) -> None:
    """Train every job; one that was interrupted goes on from its last saved state.

    Args:
        task: what the jobs share.
        jobs: what to train, in this order.
        folder: where states are kept, one folder a candidate.
        on_report: called after every epoch.
        on_final: called after every job.
        threads: intra-operation threads of torch; a Tune trial has as many as it has CPUs.
        ends: which trainings end early; by default none.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        _train_each(task, jobs, folder, on_report, on_final, ends)
    finally:
        torch.set_num_threads(before)


def _train_each(
    task: FinalTask,
    jobs: Sequence[FinalJob],
    folder: Place,
    on_report: OnReport,
    on_final: OnFinal,
    ends: Ends | None,
) -> None:
    for job in jobs:

        def on_epoch(report: EpochReport, job: FinalJob = job) -> None:
            on_report(job, report)
            if ends is not None and ends(job.architecture.key, report):
                raise _EndedEarly(report)

        try:
            outcome = train_from_state(task, job, folder, on_epoch)
        except _EndedEarly as ended:
            outcome = stopped(ended.report)
        on_final(job, outcome)


class _EndedEarly(BaseException):  # which is no failure of the candidate
    def __init__(self, report: EpochReport) -> None:
        self.report = report
