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
        column: name of the column.
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
            ConfigError: the text is not a limit.
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
        """Return how far a record exceeds the limit, as a share of the bound.

        The result is at most 0 if the limit is kept, and infinite if the record's value is missing
        or not finite.
        """
        value = value_of(record, self.column)
        if value is None:
            return math.inf
        beyond = value - self.bound if self.relation == "<=" else self.bound - value
        return beyond / (abs(self.bound) or 1.0)

    def sql(self, columns: Collection[str]) -> str:
        """Return an SQL condition that is true if the limit is kept, else false, never NULL.

        Args:
            columns: the table's columns; without this limit's column, the condition is false.
        """
        if self.column not in columns:
            return "false"
        value = f"{quoted(self.column)}::DOUBLE"
        kept = f"isfinite({value}) AND {value} {self.relation} {self.bound!r}::DOUBLE"
        return f"coalesce({kept}, false)"
