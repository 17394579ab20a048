"""Train finals one after the other, in this process and without Ray."""

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
    """Train every job; an interrupted job goes on from its last saved state.

    Args:
        task: search space, data and settings that all jobs share.
        jobs: candidates to train, in this order.
        folder: holds the saved states, in one folder for each candidate.
        on_report: called after every epoch.
        on_final: called after every job.
        threads: torch's intra-operation threads; a Tune trial has one for each of its CPUs.
        ends: decides which trainings end early; by default none.
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


class _EndedEarly(BaseException):  # no Exception: it must not count as a failure of the candidate
    def __init__(self, report: EpochReport) -> None:
        self.report = report
