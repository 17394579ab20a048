"""The loop of a search: ask, drop duplicates, evaluate, record, tell."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

from gtn_nas.executors.base import Executor
from gtn_nas.results.store import RunStore
from gtn_nas.strategies.base import Strategy
from gtn_nas.trial import Record, Trial, derived_seed

log = logging.getLogger(__name__)

MAX_FRUITLESS_ASKS = 2000
"""Asks in a row without a new architecture, after which the space counts as exhausted."""


class Controller:
    """Runs one search; its state is a function of the configuration and the stored results.

    Asks are stored before they are dispatched and records as they arrive, so that a search killed
    at any moment goes on where it was: stored records are told again in their order, asks without
    a record are evaluated first.

    Args:
        strategy: proposes trials.
        executor: evaluates them.
        store: keeps everything; the controller is its only writer.
        seed: the run's seed; a candidate's own follows from it and the candidate's key.
        evaluation_id: hash of everything else that scores depend on.
        candidates: distinct architectures to evaluate in all, stored ones included.
    """

    def __init__(
        self,
        strategy: Strategy,
        executor: Executor,
        store: RunStore,
        *,
        seed: int,
        evaluation_id: str,
        candidates: int,
    ) -> None:
        self.strategy, self.executor, self.store = strategy, executor, store
        self.seed, self.evaluation_id, self.candidates = seed, evaluation_id, candidates
        self.records: dict[str, Record] = {}
        self.exhausted = False
        self._asked: dict[str, Trial] = {}
        self._tell_index = 0
        self._fruitless = 0
        self._replay()

    @property
    def remaining(self) -> int:
        """How many candidates are still to be evaluated."""
        return max(self.candidates - len(self.records), 0)

    def run(self) -> Iterator[Record]:
        """Evaluate until enough distinct candidates are stored, yielding each record."""
        for finished in self.executor.run(self._trials()):
            record = replace(finished, run=self.store.run, tell_index=self._tell_index)
            self.store.append_candidates([record])
            self._remember(record)
            yield record
        self.store.flush()

    def _trials(self) -> Iterator[Trial]:
        """Yield what was asked for but never finished, then what is new."""
        yield from [t for key, t in self._asked.items() if key not in self.records]
        batch = max(8, 2 * self.executor.workers)
        while (missing := self.candidates - len(self._asked)) > 0:
            asked = self.strategy.ask(min(batch, missing))
            fresh = self._without_duplicates(asked)
            if fresh:
                self.store.append_asks(fresh)
                yield from fresh
            elif self._fruitless >= MAX_FRUITLESS_ASKS:
                self.exhausted = True
                self.store.append_event("exhausted")
                log.warning("no new architectures in %d asks; the search ends", self._fruitless)
                return

    def _without_duplicates(self, asked: Sequence[Trial]) -> list[Trial]:
        """Keep the trials of new architectures; the strategy is told again what is known."""
        fresh = []
        for trial in asked:
            key = trial.architecture.key
            if key not in self._asked:
                seed = derived_seed(self.seed, key)
                trial = replace(trial, seed=seed, evaluation_id=self.evaluation_id)
                self._asked[key] = trial
                fresh.append(trial)
            elif key in self.records:
                self.store.append_event(
                    "reuse",
                    key=key,
                    ask_index=trial.ask_index,
                    tell_index=self._tell_index,
                )
                self._remember(self.records[key])
        self._fruitless = 0 if fresh else self._fruitless + len(asked)
        return fresh

    def _remember(self, record: Record) -> None:
        """Tell the strategy, and count the tell."""
        self.records.setdefault(record.key, record)
        self.strategy.tell([record])
        self._tell_index += 1

    def _replay(self) -> None:
        """Bring strategy and counters to where the stored run stopped."""
        stored = {r.key: r for r in self.store.load_candidates()}
        told = [(r.tell_index, r.key) for r in stored.values()]
        last_ask = -1
        for event in self.store.load_events():
            last_ask = max(last_ask, -1 if event.ask_index is None else event.ask_index)
            if event.kind == "ask":
                trial = event.trial()
                self._asked[trial.architecture.key] = trial
            elif event.kind == "reuse" and event.tell_index is not None and event.key in stored:
                told.append((event.tell_index, event.key))
        for _, key in sorted(told):
            self._remember(stored[key])
        self._tell_index = max((index for index, _ in told), default=-1) + 1
        self.strategy.next_ask_index = last_ask + 1
