"""The finals of a run: full trainings of the best candidates, recorded as they end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gtn_nas.config.search import SearchConfig
from gtn_nas.proxies.size import count_flops, count_parameters
from gtn_nas.ranking.winner import best_first
from gtn_nas.results.store import RunStore
from gtn_nas.searching.backends.base import Backend
from gtn_nas.searching.curves import TrainingCurves
from gtn_nas.searching.evaluation import Evaluation
from gtn_nas.searching.predictor import LEAST_TRAINED, predict
from gtn_nas.storage.files import remove_tree
from gtn_nas.training.final import FinalJob, FinalOutcome, FinalTask
from gtn_nas.training.halving import Halving
from gtn_nas.training.train import EpochReport, FinalConfig
from gtn_nas.trial import Final, Record, Status, derived_seed

UNFINISHED = ".finals"
"""Folder of training states in the run folder, while finals are being trained."""

TRAINED_COLUMNS = (
    "validation_accuracy",
    "validation_loss",
    "test_accuracy",
    "test_loss",
    "best_epoch",
    "epochs",
    "train_s",
)
"""Names of the fields that ``Final`` takes from ``TrainedNetwork``."""

OnEpochs = Callable[[int, int, int], None]
"""Called with the epochs done, the epochs in all, and the number of finals that have ended."""


class Finals:
    """Trains the top candidates that have not been trained yet.

    With the setting ``predictor``, the ranking chooses the first ones. The predictor then learns
    from the finals that have ended and chooses the next ones, as many as can train at once.

    Args:
        config: the run's configuration.
        evaluation: search space and data.
        store: the run folder, for records and weights; training states lie beside them.
        backend: trains the networks.
    """

    def __init__(
        self, config: SearchConfig, evaluation: Evaluation, store: RunStore, backend: Backend
    ) -> None:
        self.config, self.store, self.backend = config, store, backend
        task = FinalConfig(epochs=config.final_epochs)
        self.task = FinalTask(evaluation.space, evaluation.dataset, task)
        self.folder = store.folder / UNFINISHED
        self.curves = TrainingCurves(store.folder)
        self.ends = Halving(config.final_epochs).ends if config.halve_finals else None
        self._candidates: dict[str, Record] = {}
        self._ranks: dict[str, int] = {}
        self._predicted: dict[str, float] = {}
        self._epochs: dict[str, int] = {}
        self._ended = 0

    def train(
        self, ranking: Sequence[Record], wanted: Sequence[Record], on_epochs: OnEpochs
    ) -> list[Final]:
        """Train those of the top k that have no final yet; return all finals, best first.

        Args:
            ranking: every candidate, best first; a final's ``rank`` is its place here, from 1.
            wanted: the candidates that may be fully trained, best first.
            on_epochs: called after every epoch.
        """
        self._candidates = {record.key: record for record in ranking}
        self._ranks = {record.key: place for place, record in enumerate(ranking, start=1)}
        settled = (Status.OK, Status.STOPPED)
        done = {f.key for f in self.store.load_finals() if f.status in settled}
        if self.config.predictor:
            rest = [record for record in wanted if record.key not in done]
            missing = self.config.top_k - (len(wanted) - len(rest))
            count = min(max(missing, 0), len(rest))
            rounds: Iterable[list[Record]] = self._rounds(rest, count)
        else:
            rest = [r for r in wanted[: self.config.top_k] if r.key not in done]
            count, rounds = len(rest), [rest]
        total = count * self.config.final_epochs

        def on_report(job: FinalJob, report: EpochReport) -> None:
            key = job.architecture.key
            self.store.append_event("epoch", key=key, details=asdict(report))
            self._epochs[key] = report.epoch
            self.curves.add(key, report)
            on_epochs(sum(self._epochs.values()), total, self._ended)

        if count:
            on_epochs(0, total, 0)
            with closing(self.curves):
                for records in rounds:
                    jobs = [self._job(record) for record in records]
                    self.backend.train(
                        self.task, jobs, self.folder, on_report, self._record, self.ends
                    )
            remove_tree(self.folder)
        return best_first(self.store.load_finals())

    def _reached(self) -> dict[str, float]:
        """Return the validation accuracies of all finals with status ``ok``, by key."""
        return {
            f.key: f.validation_accuracy
            for f in self.store.load_finals()
            if f.status is Status.OK and f.validation_accuracy is not None
        }

    def _rounds(self, rest: list[Record], count: int) -> Iterator[list[Record]]:
        """Yield the candidates to train next; those yielded before must have been trained."""
        while count:
            chosen = self._next(rest)[:count]
            yield chosen
            count -= len(chosen)
            keys = {record.key for record in chosen}
            rest = [record for record in rest if record.key not in keys]

    def _next(self, rest: list[Record]) -> list[Record]:
        """Return which of the rest to train next.

        The ranking decides until enough finals have ended for the predictor, then the predictor
        decides. It learns from the stored finals alone, so a resumed run chooses the same.
        """
        budget = rest[0].budget  # scores of different budgets are never compared
        reached = self._reached()
        known = [
            (record, reached[key])
            for key, record in self._candidates.items()
            if key in reached and record.budget == budget
        ]
        if len(known) < LEAST_TRAINED:
            return rest[: LEAST_TRAINED - len(known)]
        comparable = [record for record in rest if record.budget == budget]
        predicted = predict(known, comparable, derived_seed(self.config.seed, "predictor"))
        # The sort is stable: candidates of equal prediction stay in the order of the ranking.
        pairs = sorted(zip(predicted, comparable, strict=True), key=lambda pair: -pair[0])
        pairs = pairs[: self.backend.side_by_side()]
        self._predicted |= {record.key: accuracy for accuracy, record in pairs}
        return [record for _, record in pairs]

    def _job(self, record: Record) -> FinalJob:
        seed = derived_seed(self.config.seed, record.key, "final")
        return FinalJob(record.architecture, self._ranks[record.key], seed)

    def _record(self, job: FinalJob, outcome: FinalOutcome) -> None:
        """Store a final that has ended."""
        self.curves.end(job.architecture.key)
        candidate, trained = self._candidates[job.architecture.key], outcome.trained
        weights: Path | None = None
        if outcome.weights is not None:
            weights = self.store.save_weights(candidate.key, outcome.weights)
        measures: dict[str, Any] = {}
        if trained is not None:
            measures = {name: getattr(trained, name) for name in TRAINED_COLUMNS} | self._size(job)
            # Stored before the final: a candidate with a final is never trained again.
            found = {"test_confusion": trained.test_confusion}
            self.store.append_event("confusion", key=candidate.key, details=found)
            self.store.flush()
        self.store.append_final(
            Final(
                key=candidate.key,
                space=candidate.space,
                choices=candidate.choices,
                rank=job.rank,
                status=outcome.status,
                error=outcome.error,
                predicted_accuracy=self._predicted.get(candidate.key),
                seed=job.seed,
                device=outcome.device,
                weights=str(weights) if weights else None,
                **measures,
            )
        )
        self._ended += 1

    def _size(self, job: FinalJob) -> dict[str, int]:
        """Return parameters and FLOPs at scale ``final``, which can differ from ``proxy``."""
        dataset = self.task.dataset
        shape, classes = dataset.image_shape, dataset.num_classes
        network = self.task.space.build(job.architecture, shape, classes, "final")
        return {"params": count_parameters(network), "flops": count_flops(network, shape)}
