"""The latencies of a run, measured one after the other while nothing else is evaluated."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from gtn_nas.config.search import SearchConfig
from gtn_nas.proxies.catalogue import LATENCY_MS
from gtn_nas.proxies.latency import LatencyEvaluator
from gtn_nas.results.schema import Latency
from gtn_nas.results.store import RunStore
from gtn_nas.searching.backends.base import Backend
from gtn_nas.searching.evaluation import Evaluation
from gtn_nas.trial import Record, Status, Trial

log = logging.getLogger(__name__)

OnMeasured = Callable[[int, int], None]
"""Called with the number of candidates measured and the number to measure."""


class Latencies:
    """Measures the latency of candidates that have none yet, on one worker.

    Args:
        config: the run's configuration.
        evaluation: search space and data.
        store: the run folder, for the latencies.
        backend: provides the worker.
    """

    def __init__(
        self, config: SearchConfig, evaluation: Evaluation, store: RunStore, backend: Backend
    ) -> None:
        self.config, self.store, self.backend = config, store, backend
        dataset = evaluation.dataset
        self.factory = LatencyEvaluator(
            evaluation.space, dataset.image_shape, dataset.num_classes, config.latency_batch
        )

    def complete(self, records: Collection[Record], on_measured: OnMeasured) -> list[Record]:
        """Measure missing latencies; return the given records with their latencies.

        A candidate whose measurement fails gets no latency and is not measured again.

        Args:
            records: every record of the run.
            on_measured: called after every measurement.
        """
        rows = {row.key: row for row in self.store.load_latencies()}
        missing = {r.key: r for r in records if r.status is Status.OK and r.key not in rows}
        if missing:
            total = len(rows) + len(missing)
            on_measured(len(rows), total)
            for row in self._measure(missing.values()):
                self.store.append_latency(row)
                rows[row.key] = row
                on_measured(len(rows), total)
        _warn(rows.values())
        known = {key: row.latency_ms for key, row in rows.items() if row.latency_ms is not None}
        return [_with_latency(record, known.get(record.key)) for record in records]

    def _measure(self, candidates: Iterable[Record]) -> Iterable[Latency]:
        trials = (Trial(r.architecture, r.budget, r.ask_index, seed=r.seed) for r in candidates)
        with self.backend.executor(self.factory, {}, workers=1) as executor:
            for found in executor.run(trials):
                yield self._row(found)

    def _row(self, found: Record) -> Latency:
        runs = found.extra.get("runs")
        return Latency(
            found.key,
            self.config.latency_batch,
            found.extra.get(LATENCY_MS),
            None if runs is None else int(runs),
            status=found.status,
            error=found.error,
            device=found.device,
            threads=found.threads,
            torch_version=found.torch_version,
            node=found.node,
        )


def _with_latency(record: Record, latency_ms: float | None) -> Record:
    if latency_ms is None:
        return record
    return replace(record, extra={**record.extra, LATENCY_MS: latency_ms})


def _warn(rows: Collection[Latency]) -> None:
    """Warn if candidates have no latency, or if latencies of different devices are mixed."""
    failed = [row for row in rows if row.status is not Status.OK]
    if failed:
        log.warning(
            "%d of %d candidates have no latency, the first of them %s: %s",
            len(failed),
            len(rows),
            failed[0].key,
            failed[0].error,
        )
    places = {f"{r.device} with {r.threads} threads" for r in rows if r.status is Status.OK}
    if len(places) > 1:
        log.warning(
            "latencies cannot be compared: this run measured some on %s",
            ", others on ".join(sorted(places)),
        )
