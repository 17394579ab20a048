"""The score that candidates are ranked by: one column, or the aggregated ranks in several.

There are two ways to aggregate a candidate's ranks in several columns:

- ``+`` takes their arithmetic mean. Abdelfattah et al. 2021 (arXiv 2101.08134, section 4.3) let
  proxies vote in a similar way.
- ``*`` takes the geometric mean of the ranks counted from the worst candidate, as Lee & Ham 2024
  (arXiv 2403.19232, section 3.3) sum the logarithms of ranks. A candidate that is poor in one
  column then gets a poor rank.
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
    """How a candidate's ranks in several columns become one; the value is the sign in a score."""

    ARITHMETIC_MEAN = "+"
    GEOMETRIC_MEAN = "*"


@dataclass(frozen=True)
class Score:
    """The score that candidates are ranked by.

    ``str(score)`` is the text that ``Score.parse`` reads, without spaces.

    Attributes:
        columns: names of the columns; see ``columns.lower_ranks_first`` for their directions.
        aggregation: how the ranks in several columns become one.
    """

    columns: tuple[str, ...]
    aggregation: Aggregation = Aggregation.ARITHMETIC_MEAN

    @classmethod
    def parse(cls, text: str) -> Score:
        """Read a score as a user writes it, e.g. ``"jacob_cov*params"``.

        Raises:
            ConfigError: the text has both ``+`` and ``*``.
        """
        used = [aggregation for aggregation in Aggregation if aggregation in text]
        if len(used) > 1:
            raise ConfigError(f"the score {text!r} joins columns by + and by *; use one of them")
        aggregation = used[0] if used else Aggregation.ARITHMETIC_MEAN
        return cls(tuple(name.strip() for name in text.split(aggregation)), aggregation)

    def __str__(self) -> str:
        return self.aggregation.join(self.columns)

    def among(self, columns: Collection[str]) -> list[str]:
        """Return the score's columns that are also in ``columns``."""
        return [name for name in self.columns if name in columns]

    def without(self, columns: Collection[str]) -> Score | None:
        """Return the score without some columns, or ``None`` if no column is left."""
        rest = [name for name in self.columns if name not in columns]
        return Score.parse(self.aggregation.join(rest)) if rest else None

    def losses(self, record: Record) -> list[float | None]:
        """Return a record's value in each column, with the sign that makes lower values better.

        Missing and non-finite values are ``None``.
        """
        return [rank_loss(record, name) for name in self.columns]

    def ranks(self, records: Sequence[Record]) -> list[float]:
        """Return the rank of each record among ``records``; lower is better.

        See ``ranks_by_losses``.
        """
        return self.ranks_by_losses(
            [[rank_loss(r, name) for r in records] for name in self.columns]
        )

    def ranks_by_losses(self, losses: Sequence[Sequence[float | None]]) -> list[float]:
        """Return the rank of each candidate; lower is better.

        In each column, the best candidate has rank 1, candidates with equal values share the mean
        of their ranks, and candidates without a value come last.

        Args:
            losses: for each column, one value for each candidate; lower is better.
        """
        by_column = [_ranks(column) for column in losses]
        after_last = len(by_column[0]) + 1
        return [self.aggregate(ranks, after_last) for ranks in zip(*by_column, strict=True)]

    def aggregate(self, ranks: Sequence[float], after_last: float) -> float:
        """Return one rank from a candidate's ranks in all columns; lower is better.

        Args:
            ranks: the candidate's rank in each column.
            after_last: the number of candidates plus one. The geometric mean counts ranks from
                the worst candidate: ``after_last - rank``.
        """
        if self.aggregation is Aggregation.ARITHMETIC_MEAN:
            return fmean(ranks)
        return after_last - math.prod(after_last - rank for rank in ranks) ** (1 / len(ranks))

    def order_by(self, columns: Collection[str], group: Sequence[str]) -> list[str]:
        """Return the terms of an SQL ``ORDER BY`` that sort candidates of a group by this score.

        Args:
            columns: the table's columns; the score's other columns are ignored, since no candidate
                has a value in them.
            group: SQL expressions; candidates for which all of these are equal form a group, and
                ranks are counted within it.
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
    """Return the SQL of a candidate's rank in a column.

    Candidates with equal values share the mean of their first and their last rank. Both come from
    one window, so the database sorts once.
    """
    window = f"({partition} ORDER BY {order_term(column, lower=lower_ranks_first(column))})"
    return f"((rank() OVER {window} + count(*) OVER {window}) / 2.0)"
