"""The trials that a search asked for, and their records."""

from __future__ import annotations

from gtn_nas.trial import Record, Trial

_Place = tuple[str, int]
"""An architecture's key and a budget; in one run, trials with equal places have equal scores."""


class Ledger:
    """Trials without a record, and records: at most one for each architecture and budget."""

    def __init__(self) -> None:
        self._waiting: dict[_Place, Trial] = {}
        self._records: dict[_Place, Record] = {}
        self._architectures: set[str] = set()

    @property
    def trials(self) -> int:
        """Number of trials that were asked for."""
        return len(self._waiting) + len(self._records)

    @property
    def architectures(self) -> int:
        """Number of distinct architectures that were asked for, at whatever budgets."""
        return len(self._architectures)

    @property
    def told(self) -> int:
        """Number of trials that have a record."""
        return len(self._records)

    def ask(self, trial: Trial) -> bool:
        """Note that a trial was asked for; return whether it was the first time."""
        place = trial.architecture.key, trial.budget
        if place in self._waiting or place in self._records:
            return False
        self._waiting[place] = trial
        self._architectures.add(trial.architecture.key)
        return True

    def tell(self, record: Record) -> bool:
        """Note the record of a trial; return whether the trial was waiting for it."""
        place = record.key, record.budget
        if self._waiting.pop(place, None) is None:
            return False
        self._records[place] = record
        return True

    def record_of(self, trial: Trial) -> Record | None:
        """Return the record of a trial, or ``None`` if it has none yet."""
        return self._records.get((trial.architecture.key, trial.budget))

    def unfinished(self) -> list[Trial]:
        """Return the trials without a record, in the order in which they were asked for."""
        return list(self._waiting.values())

    def records(self) -> list[Record]:
        """Return all records in the order in which they were told."""
        return list(self._records.values())
