"""The loop of a search: ask, drop duplicates, evaluate, record, tell."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace

from gtn_nas.executors.base import Executor
from gtn_nas.results.store import RunStore
from gtn_nas.strategies.base import Strategy
from gtn_nas.trial import Record, Trial, derived_seed

log = logging.getLogger(__name__)

MAX_FRUITLESS_ASKS = 2000
"""Asks in a row without a new trial, after which the space counts as exhausted."""

Identity = tuple[str, int]
"""Key and budget: in one run, trials that share both share their score."""


class Controller:
    """Runs one search; its state is a function of the configuration and the stored results.

    Asks are stored before they are dispatched and records as they arrive, so that a search killed
    at any moment goes on where it was: what was asked and told is asked and told again in its
    order, and asks without a record are evaluated first.

    Args:
        strategy: proposes trials.
        executor: evaluates them.
        store: keeps everything; the controller is its only writer.
        seed: the run's seed; a candidate's own follows from it and the candidate's key.
        evaluation_id: hash of everything else that scores depend on.
        candidates: distinct architectures to evaluate in all, stored ones included. One that is
            evaluated at several budgets counts once; promotions come on top.
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
        self.records: dict[Identity, Record] = {}
        self.exhausted = False
        self._asked: dict[Identity, Trial] = {}
        self._keys: set[str] = set()
        self._tell_index = 0
        self._fruitless = 0
        self._replay()

    @property
    def total(self) -> int:
        """Evaluations in all, as far as is known: every candidate, and promotions asked for."""
        return self.candidates + len(self._asked) - len(self._keys)

    def run(self) -> Iterator[Record]:
        """Evaluate enough distinct candidates and all promotions of them, yielding each record."""
        seen = -1
        while len(self.records) > seen:  # the last records can make others worth a larger budget
            seen = len(self.records)
            for finished in self.executor.run(self._trials()):
                record = replace(finished, run=self.store.run, tell_index=self._tell_index)
                self.store.append_candidates([record])
                self._remember(record)
                yield record
        self.store.flush()

    def _trials(self) -> Iterator[Trial]:
        """Yield what was asked for but never finished, then what is new, then promotions."""
        yield from [t for identity, t in self._asked.items() if identity not in self.records]
        batch = max(8, 2 * self.executor.workers)
        while not self.exhausted and (missing := self.candidates - len(self._keys)) > 0:
            yield from self._ask(min(batch, missing))
            if self._fruitless >= MAX_FRUITLESS_ASKS:
                self.exhausted = True
                self.store.append_event("exhausted")
                log.warning("no new architectures in %d asks; the search ends", self._fruitless)
        while promoted := self._ask(batch, new=False):
            yield from promoted

    def _ask(self, n: int, *, new: bool = True) -> list[Trial]:
        """Ask the strategy, store that, and return the trials that were not asked for before."""
        asked = self.strategy.ask(n, new=new)
        if not asked:
            return []
        self.store.append_event(
            "batch",
            ask_index=asked[0].ask_index,
            tell_index=self._tell_index,
            details={"size": len(asked), "new": new},
        )
        fresh = []
        for trial in asked:
            if _identity(trial) not in self._asked:
                seed = derived_seed(self.seed, trial.architecture.key)
                trial = replace(trial, seed=seed, evaluation_id=self.evaluation_id)
                self._take_in(trial)
                fresh.append(trial)
            elif _identity(trial) in self.records:
                self._reuse(trial)
        if fresh:
            self.store.append_asks(fresh)
        self._fruitless = 0 if fresh else self._fruitless + len(asked)
        return fresh

    def _take_in(self, trial: Trial) -> None:
        """Remember that a trial was asked for."""
        self._asked[_identity(trial)] = trial
        self._keys.add(trial.architecture.key)

    def _reuse(self, trial: Trial) -> None:
        """Tell the strategy again what is known of a trial."""
        self.store.append_event(
            "reuse",
            key=trial.architecture.key,
            ask_index=trial.ask_index,
            tell_index=self._tell_index,
            details={"budget": trial.budget},
        )
        self._remember(self.records[_identity(trial)])

    def _remember(self, record: Record) -> None:
        """Tell the strategy, and count the tell."""
        self.records.setdefault((record.key, record.budget), record)
        self.strategy.tell([record])
        self._tell_index += 1

    def _replay(self) -> None:
        """Ask and tell again what is stored, in its order, and so arrive where the run stopped."""
        stored = {(r.key, r.budget): r for r in self.store.load_candidates()}
        told = [(record.tell_index, record) for record in stored.values()]
        batches = []
        for event in self.store.load_events():
            details = json.loads(event.details)
            if event.kind == "ask":
                self._take_in(event.trial())
            elif event.kind == "batch":
                batches.append((event.tell_index or 0, event.ask_index or 0, details))
            elif event.kind == "reuse" and (event.key, details.get("budget")) in stored:
                told.append((event.tell_index or 0, stored[event.key or "", details["budget"]]))
        told.sort(key=lambda tell: tell[0], reverse=True)
        last = told[0][0] if told else -1

        def tell_until(tell_index: int) -> None:
            while told and told[-1][0] < tell_index:
                self._remember(told.pop()[1])

        for tell_index, _, details in sorted(batches, key=lambda batch: batch[:2]):
            tell_until(tell_index)  # a batch was asked for before the tell of its index
            self.strategy.ask(details["size"], new=details["new"])
        tell_until(last + 1)
        self._tell_index = last + 1


def _identity(trial: Trial) -> Identity:
    return trial.architecture.key, trial.budget
