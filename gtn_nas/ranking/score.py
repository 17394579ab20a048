"""What ranks candidates: one column, or several whose ranks are aggregated.

The ranks of a candidate in several columns are aggregated by their arithmetic mean, written with
``+`` (as proxies are voted in Abdelfattah et al. 2021, arXiv 2101.08134, section 4.3), or by the
geometric mean of its places from the bottom, written with ``*`` (as the logarithms of ranks are
summed in Lee & Ham 2024, arXiv 2403.19232, section 3.3). With the geometric mean, a candidate that
is poor in one column is poor.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean

from gtn_nas.errors import ConfigError
from gtn_nas.ranking.columns import lower_ranks_first, missing_last, order_term, rank_loss
from gtn_nas.trial import Record


class Aggregation(StrEnum):
    """How the ranks of a candidate in several columns become one; the value is the written sign."""

    ARITHMETIC_MEAN = "+"
    GEOMETRIC_MEAN = "*"


@dataclass(frozen=True)
class Score:
    """What ranks candidates.

    ``str(score)`` is what ``Score.parse`` reads, without spaces.

    Attributes:
        columns: names of the columns; each column's name tells its direction.
        aggregation: how the ranks in several columns become one.
    """

    columns: tuple[str, ...]
    aggregation: Aggregation = Aggregation.ARITHMETIC_MEAN

    @classmethod
    def parse(cls, text: str) -> Score:
        """Read a score as a user writes it, e.g. ``"jacob_cov*params"``.

        Raises:
            ConfigError: it aggregates in two ways.
        """
        used = [aggregation for aggregation in Aggregation if aggregation in text]
        if len(used) > 1:
            raise ConfigError(f"the score {text!r} joins columns by + and by *; use one of them")
        aggregation = used[0] if used else Aggregation.ARITHMETIC_MEAN
        return cls(tuple(name.strip() for name in text.split(aggregation)), aggregation)

    def __str__(self) -> str:
        return self.aggregation.join(self.columns)

    def among(self, columns: Collection[str]) -> list[str]:
        """Return the score's columns that are among some others."""
        return [name for name in self.columns if name in columns]

    def without(self, columns: Collection[str]) -> Score | None:
        """Return the score without some columns; ``None`` if nothing is left of it."""
        rest = [name for name in self.columns if name not in columns]
        return Score.parse(self.aggregation.join(rest)) if rest else None

    def losses(self, record: Record) -> list[float | None]:
        """Return a record's finite value in each column, with the sign by which lower is better."""
        return [rank_loss(record, name) for name in self.columns]

    def ranks(self, records: Sequence[Record]) -> list[float]:
        """Return the rank of each record among these, lower is better; see ``ranks_by_losses``."""
        return self.ranks_by_losses(
            [[rank_loss(r, name) for r in records] for name in self.columns]
        )

    def ranks_by_losses(self, losses: Sequence[Sequence[float | None]]) -> list[float]:
        """Return the rank of each candidate, lower is better.

        In one column, the best has rank 1, equal ones share the mean of their places, and what has
        no value comes after all others.

        Args:
            losses: for each column, the candidates' values such that lower is better.
        """
        by_column = [_ranks(column) for column in losses]
        after_last = len(by_column[0]) + 1
        return [self.aggregate(ranks, after_last) for ranks in zip(*by_column, strict=True)]

    def aggregate(self, ranks: Sequence[float], after_last: float) -> float:
        """Return one rank for those of a candidate in each column, lower is better.

        Args:
            ranks: one for each column.
            after_last: the rank that would follow the last; places from the bottom count from it.
        """
        if self.aggregation is Aggregation.ARITHMETIC_MEAN:
            return fmean(ranks)
        return after_last - math.prod(after_last - rank for rank in ranks) ** (1 / len(ranks))

    def order_by(self, columns: Collection[str], group: Sequence[str]) -> list[str]:
        """Return the terms of an SQL ``ORDER BY`` that sort candidates of a group by this score.

        Args:
            columns: the table's columns; what is not among them is missing everywhere.
            group: SQL expressions that are equal for candidates that are ranked among each other.
        """
        known = self.among(columns)
        if len(known) < 2:
            return [order_term(name, lower=lower_ranks_first(name)) for name in known]
        partition = f"PARTITION BY {', '.join(group)}"
        ranks = [_sql_rank(name, partition) for name in known]
        if self.aggregation is Aggregation.ARITHMETIC_MEAN:
            return [" + ".join(ranks)]
        after_last = f"(count(*) OVER ({partition}) + 1)"
        product = " * ".join(f"({after_last} - {rank})" for rank in ranks)
        return [f"{after_last} - pow({product}, 1.0 / {len(known)})"]


def _ranks(losses: Sequence[float | None]) -> list[float]:
    keys = [missing_last(loss) for loss in losses]
    ordered = sorted(keys)
    return [(bisect_left(ordered, key) + bisect_right(ordered, key) + 1) / 2 for key in keys]


def _sql_rank(column: str, partition: str) -> str:
    """Return the SQL of a candidate's rank in a column, which equal ones share.

    It is the mean of the first and the last place of its equals, which both come of one sort.
    """
    window = f"({partition} ORDER BY {order_term(column, lower=lower_ranks_first(column))})"
    return f"((rank() OVER {window} + count(*) OVER {window}) / 2.0)"
