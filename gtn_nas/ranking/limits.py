"""Limits that a candidate must keep, such as ``params<=100000``."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass

from gtn_nas.errors import ConfigError
from gtn_nas.ranking.columns import quoted, value_of
from gtn_nas.trial import Record


@dataclass(frozen=True)
class Limit:
    """A bound on one column.

    Attributes:
        column: whose values are bounded.
        relation: ``<=`` or ``>=``.
        bound: a finite number.
    """

    column: str
    relation: str
    bound: float

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Read a limit as a user writes it.

        Raises:
            ConfigError: it is none.
        """
        found = re.fullmatch(r"\s*([^<>=]*[^<>=\s])\s*([<>]=)\s*(\S+)\s*", text)
        try:
            bound = float(found[3]) if found else math.nan
        except ValueError:
            bound = math.nan
        if found is None or not math.isfinite(bound):
            raise ConfigError(
                f"{text!r} is no limit; write a column, <= or >=, and a number, in quotes for the "
                "shell: 'params<=100000'"
            )
        return cls(found[1], found[2], bound)

    def violation(self, record: Record) -> float:
        """Return how far a record is beyond the limit, as a share of the bound; within, <= 0.

        A missing or non-finite value is infinitely far beyond.
        """
        value = value_of(record, self.column)
        if value is None:
            return math.inf
        beyond = value - self.bound if self.relation == "<=" else self.bound - value
        return beyond / (abs(self.bound) or 1.0)

    def sql(self, columns: Collection[str]) -> str:
        """Return the same as an SQL condition, which is never null."""
        if self.column not in columns:
            return "false"
        value = f"{quoted(self.column)}::DOUBLE"
        kept = f"isfinite({value}) AND {value} {self.relation} {self.bound!r}::DOUBLE"
        return f"coalesce({kept}, false)"
