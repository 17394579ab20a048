"""The finals of a run: the best candidates, fully trained, recorded as they end."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gtn_nas.config import SearchConfig
from gtn_nas.preparation import Evaluation
from gtn_nas.proxies.size import count_flops, count_parameters
from gtn_nas.results.schema import Final
from gtn_nas.results.store import RunStore
from gtn_nas.training.final import FinalJob, FinalOutcome, FinalTask, OnReport
from gtn_nas.training.train import EpochReport, FinalConfig
from gtn_nas.trial import Record, Status, derived_seed

UNFINISHED = ".finals"
"""Folder of checkpoints in the run folder, while finals are being trained."""

MEASURES = (
    "validation_accuracy",
    "validation_loss",
    "test_accuracy",
    "test_loss",
    "best_epoch",
    "epochs",
    "train_s",
)
"""What a trained network and its record share."""

OnEpochs = Callable[[int, int, int], None]
"""Called with the epochs done, of how many, and the finals that have ended."""


class Finals:
    """Trains the top candidates that have not been trained yet.

    Args:
        config: the run's configuration.
        evaluation: search space and data.
        store: keeps records and weights; the only place this writes to, but for checkpoints.
    """

    def __init__(self, config: SearchConfig, evaluation: Evaluation, store: RunStore) -> None:
        self.config, self.store = config, store
        task = FinalConfig(epochs=config.final_epochs)
        self.task = FinalTask(evaluation.space, evaluation.dataset, task)
        self.folder = store.folder / UNFINISHED
        self._candidates: dict[str, Record] = {}
        self._epochs: dict[str, int] = {}
        self._ended = 0

    def train(
        self, ranking: Sequence[Record], wanted: Sequence[Record], on_epochs: OnEpochs
    ) -> list[Final]:
        """Train what is missing of the top k; return every final of the run, best first.

        Args:
            ranking: every candidate, best first; a final's rank is its place here.
            wanted: those of them that are worth a full training, best first.
            on_epochs: called as trainings go on.
        """
        top, ranks = wanted[: self.config.top_k], {r.key: i for i, r in enumerate(ranking, start=1)}
        done = {f.key for f in self.store.load_finals() if f.status is Status.OK}
        self._candidates = {record.key: record for record in top}
        jobs = [
            FinalJob(
                record.architecture,
                ranks[record.key],
                derived_seed(self.config.seed, record.key, "final"),
            )
            for record in top
            if record.key not in done
        ]
        total = len(jobs) * self.config.final_epochs

        def on_report(job: FinalJob, report: EpochReport) -> None:
            self._epochs[job.architecture.key] = report.epoch
            on_epochs(sum(self._epochs.values()), total, self._ended)

        if jobs:
            on_epochs(0, total, 0)
            self._run(jobs, on_report)
            shutil.rmtree(self.folder, ignore_errors=True)
        return sorted(self.store.load_finals(), key=_order)

    def _run(self, jobs: list[FinalJob], on_report: OnReport) -> None:
        if self.config.executor == "inline":
            from gtn_nas.training.inline import train_inline

            threads = max(int(self.config.cpus_per_worker), 1)
            train_inline(self.task, jobs, self.folder, on_report, self._record, threads=threads)
            return
        from gtn_nas.training.tune_trials import train_with_tune

        train_with_tune(
            self.task,
            jobs,
            self.folder,
            on_report,
            self._record,
            cpus=self.config.cpus_per_worker,
            # A share of a GPU serves a proxy; a full training gets a whole one.
            gpus=math.ceil(self.config.gpus_per_worker),
        )

    def _record(self, job: FinalJob, outcome: FinalOutcome) -> None:
        """Store a final that has ended."""
        candidate, trained = self._candidates[job.architecture.key], outcome.trained
        weights: Path | None = None
        if outcome.weights is not None:
            weights = self.store.save_weights(candidate.key, outcome.weights)
        measures: dict[str, Any] = {}
        if trained is not None:
            measures = {name: getattr(trained, name) for name in MEASURES} | self._size(job)
        self.store.append_final(
            Final(
                key=candidate.key,
                space=candidate.space,
                choices=candidate.choices,
                rank=job.rank,
                status=outcome.status,
                error=outcome.error,
                seed=job.seed,
                device=outcome.device,
                weights=str(weights) if weights else None,
                **measures,
            )
        )
        self._ended += 1

    def _size(self, job: FinalJob) -> dict[str, int]:
        """Return parameters and FLOPs at final scale, which can differ from the proxy's."""
        dataset = self.task.dataset
        shape, classes = dataset.image_shape, dataset.num_classes
        network = self.task.space.build(job.architecture, shape, classes, "final")
        return {"params": count_parameters(network), "flops": count_flops(network, shape)}


def _order(final: Final) -> tuple[bool, float, float, str]:
    """Sort by validation alone: the test split has no say in the choice of a winner."""
    accuracy, loss = final.validation_accuracy or 0.0, final.validation_loss or math.inf
    return final.status is not Status.OK, -accuracy, loss, final.key
