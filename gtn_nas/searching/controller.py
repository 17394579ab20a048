"""The loop of a search: ask, drop duplicates, evaluate, record, tell."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

from gtn_nas.executors.base import Executor, Notice
from gtn_nas.results.store import RunStore
from gtn_nas.searching.ledger import Ledger
from gtn_nas.strategies.base import Strategy
from gtn_nas.trial import Record, Status, Trial

log = logging.getLogger(__name__)

MAX_FRUITLESS_ASKS = 2000
"""After so many asks in a row without a new trial, the space counts as exhausted."""


class Controller:
    """Runs one search; its state is a function of the configuration and the stored results.

    Asks are stored before they are dispatched, and records as they arrive. A search that was
    killed at any moment therefore goes on where it was: the stored asks and tells are repeated in
    their order, and asked trials without a record are evaluated first.

    Args:
        strategy: proposes trials.
        executor: evaluates them.
        store: the run folder; the controller is its only writer.
        seed: the run's seed, which is the seed of every trial.
        evaluation_id: hash of everything else that scores depend on.
        candidates: number of distinct architectures to evaluate, stored ones included. An
            architecture that is evaluated at several budgets counts once: promotions come on top.

    Attributes:
        run_name: the run's name.
        on_notice: called with each event of a worker, after the event is recorded.
        exhausted: whether the search ended because the space has no more architectures.
        failures: number of failed evaluations, by status.
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
        self.run_name = store.run
        self.exhausted = False
        self.failures: Counter[Status] = Counter()
        self._ledger = Ledger()
        self._tell_index = 0
        self._fruitless = 0
        self._repeated_until = self._replay()
        self.on_notice: Callable[[Notice], None] = lambda notice: None
        executor.on_notice = self._record_notice

    @property
    def total(self) -> int:
        """Number of evaluations known so far: every candidate, and the promotions asked for."""
        return self.candidates + self._ledger.trials - self._ledger.architectures

    @property
    def done(self) -> int:
        """Number of evaluations that have ended, stored ones included."""
        return self._ledger.told

    def records(self) -> list[Record]:
        """Return the records of all evaluations, in the order in which they ended."""
        return self._ledger.records()

    def run(self) -> Iterator[Record]:
        """Evaluate the wanted number of candidates and all promotions, yielding each record."""
        seen = -1
        while self.done > seen:  # the last records can lead to further promotions
            seen = self.done
            for finished in self.executor.run(self._trials()):
                record = replace(finished, run=self.run_name, tell_index=self._tell_index)
                self.store.append_candidates([record])
                self._remember(record)
                if record.status is not Status.OK:
                    self._log_failure(record)
                yield record
        self.store.flush()

    def _trials(self) -> Iterator[Trial]:
        """Yield the trials that an earlier process left unfinished, new ones, then promotions."""
        yield from self._ledger.unfinished()
        while not self.exhausted and (missing := self.candidates - self._ledger.architectures) > 0:
            yield from self._ask(min(self._batch, missing))
            if self._fruitless >= MAX_FRUITLESS_ASKS:
                self.exhausted = True
                self.store.append_event("exhausted")
                log.warning("no new architectures in %d asks; the search ends", self._fruitless)
        while promoted := self._ask(self._batch, new=False):
            yield from promoted

    @property
    def _batch(self) -> int:
        """Number of trials to ask for at once."""
        return max(8, 2 * self.executor.workers)

    def _ask(self, n: int, *, new: bool = True) -> list[Trial]:
        """Ask the strategy, store the asks, and return the trials not asked for before."""
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
            # One seed for all, so that equal layers of candidates start with equal weights.
            trial = replace(trial, seed=self.seed, evaluation_id=self.evaluation_id)
            if self._ledger.ask(trial):
                fresh.append(trial)
            elif (known := self._ledger.record_of(trial)) is not None:
                self._reuse(trial, known)
        if fresh:
            self.store.append_asks(fresh)
        repeats = asked[-1].ask_index <= self._repeated_until
        self._fruitless = 0 if fresh or repeats else self._fruitless + len(asked)
        return fresh

    def _reuse(self, trial: Trial, known: Record) -> None:
        """Tell the strategy the known record of a trial again."""
        self.store.append_event(
            "reuse",
            key=trial.architecture.key,
            ask_index=trial.ask_index,
            tell_index=self._tell_index,
            details={"budget": trial.budget},
        )
        self._remember(known)

    def _remember(self, record: Record) -> None:
        """Note the record, tell it to the strategy, and count the tell."""
        if self._ledger.tell(record) and record.status is not Status.OK:
            self.failures[record.status] += 1
        self.strategy.tell([record])
        self._tell_index += 1

    def _log_failure(self, record: Record) -> None:
        """Warn of the first failure of each status; the run folder has the others."""
        level = logging.WARNING if self.failures[record.status] == 1 else logging.INFO
        text = "run=%s key=%s %s: %s"
        log.log(level, text, self.run_name, record.key, record.status, record.error)

    def _record_notice(self, notice: Notice) -> None:
        """Store and log an event of a worker, or of a trial that was sent to a worker."""
        about = "host" if notice.kind == "worker_joined" else "reason"
        details: dict[str, object] = {"worker": notice.worker, "node": notice.node}
        details |= {about: notice.about}
        if notice.attempt is not None:
            details |= {"attempt": notice.attempt}
        self.store.append_event(notice.kind, key=notice.key, details=details)
        level = logging.WARNING if notice.kind == "worker_left" else logging.INFO
        key = f" key={notice.key}" if notice.key else ""
        where = f"worker={notice.worker or '-'} node={notice.node or '-'}"
        text = "run=%s%s %s %s: %s"
        log.log(level, text, self.run_name, key, notice.kind, where, notice.about)
        self.on_notice(notice)

    def _replay(self) -> int:
        """Repeat the stored asks and tells in their order, to restore the strategy's state.

        Asks in a damaged part file are lost; a trial with a record counts as asked for all the
        same.

        Returns:
            The last ask index that has a record; -1 without records.
        """
        stored = {(r.key, r.budget): r for r in self.store.load_candidates()}
        told = [(record.tell_index, record) for record in stored.values()]
        batches = []
        for event in self.store.load_events():
            details = json.loads(event.details)
            if event.kind == "ask":
                self._ledger.ask(event.trial())
            elif event.kind == "batch":
                batches.append((event.tell_index or 0, event.ask_index or 0, details))
            elif event.kind == "reuse" and (event.key, details.get("budget")) in stored:
                told.append((event.tell_index or 0, stored[event.key or "", details["budget"]]))
        for record in stored.values():
            self._ledger.ask(_trial_of(record))
        told.sort(key=lambda tell: tell[0], reverse=True)
        last = told[0][0] if told else -1

        def tell_until(tell_index: int) -> None:
            while told and told[-1][0] < tell_index:
                self._remember(told.pop()[1])

        for tell_index, _, details in sorted(batches, key=lambda batch: batch[:2]):
            tell_until(tell_index)  # a batch came before the tell of this index
            self.strategy.ask(details["size"], new=details["new"])
        tell_until(last + 1)
        self._tell_index = last + 1
        return max((record.ask_index for record in stored.values()), default=-1)


def _trial_of(record: Record) -> Trial:
    """Return the trial that led to a record."""
    return Trial(
        record.architecture,
        record.budget,
        record.ask_index,
        record.parent_key,
        record.seed,
        record.evaluation_id,
    )
