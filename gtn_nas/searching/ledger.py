"""What a search asked for and what came of it, by candidate, without filling the memory."""

from __future__ import annotations

import pickle
import sqlite3

from gtn_nas.trial import Record, Trial


class Ledger:
    """Trials and their records, by architecture and budget: in one run, those share their score.

    Kept in a temporary file of SQLite's own, which goes with this process, and of which it holds
    2 MB in memory: a search of a hundred thousand candidates needs no more than one of a thousand.
    What lasts is the run folder.

    Attributes:
        trials: how many were asked for.
        architectures: how many differ in more than their budget.
        told: how many have a record.
    """

    def __init__(self) -> None:
        self.trials = self.architectures = self.told = 0
        self._rows = sqlite3.connect("", isolation_level=None)
        self._rows.execute("PRAGMA journal_mode = OFF")  # nobody opens it after a crash
        self._rows.execute(
            "CREATE TABLE trials (key TEXT, budget INTEGER, asked INTEGER, told INTEGER, "
            "trial BLOB, record BLOB, PRIMARY KEY (key, budget)) WITHOUT ROWID"
        )

    def ask(self, trial: Trial) -> bool:
        """Note that a trial was asked for; return whether it is the first time."""
        key = trial.architecture.key
        same = self._rows.execute("SELECT budget FROM trials WHERE key = ?", [key]).fetchall()
        if (trial.budget,) in same:
            return False
        row = key, trial.budget, self.trials, pickle.dumps(trial)
        self._rows.execute("INSERT INTO trials VALUES (?, ?, ?, NULL, ?, NULL)", row)
        self.trials += 1
        self.architectures += not same
        return True

    def tell(self, record: Record) -> bool:
        """Note a record of a trial that was asked for; return whether it is the first."""
        row = self.told, pickle.dumps(record), record.key, record.budget
        done = self._rows.execute(
            "UPDATE trials SET told = ?, record = ?, trial = NULL "
            "WHERE key = ? AND budget = ? AND told IS NULL",
            row,
        )
        self.told += done.rowcount
        return done.rowcount > 0

    def record_of(self, trial: Trial) -> Record | None:
        """Return what came of a trial, if anything yet."""
        query = "SELECT record FROM trials WHERE key = ? AND budget = ?"
        found = self._rows.execute(query, [trial.architecture.key, trial.budget]).fetchone()
        return pickle.loads(found[0]) if found and found[0] else None  # noqa: S301  # our own file

    def unfinished(self) -> list[Trial]:
        """Return the trials without a record, in the order in which they were asked for."""
        query = "SELECT trial FROM trials WHERE told IS NULL ORDER BY asked"
        return [pickle.loads(row) for (row,) in self._rows.execute(query)]  # noqa: S301  # as above

    def records(self) -> list[Record]:
        """Return all records in the order in which they were told."""
        query = "SELECT record FROM trials WHERE told IS NOT NULL ORDER BY told"
        return [pickle.loads(row) for (row,) in self._rows.execute(query)]  # noqa: S301  # as above
