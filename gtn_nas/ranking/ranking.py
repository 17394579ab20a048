"""The one order of candidates, for records in memory and for SQL.

A score is a column, or several joined by ``+``, which count by the mean of a candidate's ranks in
them (as proxies are voted in Abdelfattah et al. 2021, arXiv 2101.08134, section 4.3). Joined by
``*`` they count by the geometric mean of the places from the bottom (as the logarithms of ranks are
summed in Lee & Ham 2024, arXiv 2403.19232, section 3.3): whoever is poor in one column is poor.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from gtn_nas.errors import ConfigError
from gtn_nas.ranking.columns import lower_is_better, lower_ranks_first, quoted, value_of
from gtn_nas.ranking.limits import Limit
from gtn_nas.trial import Record, Status

DEFAULT = "proxy_accuracy"


def score_columns(rank_by: str) -> tuple[str, ...]:
    """Return the columns of a score.

    Raises:
        ConfigError: it joins them in two ways.
    """
    if "+" in rank_by and "*" in rank_by:
        raise ConfigError(f"the score {rank_by!r} joins columns by + and by *; use one of them")
    return tuple(name.strip() for name in rank_by.split(joint(rank_by)))


def joint(rank_by: str) -> str:
    """Return what joins the columns of a score, ``+`` or ``*``."""
    return "*" if "*" in rank_by else "+"


def loss_of(record: Record, column: str) -> float | None:
    """Return a record's value in a column such that lower is better, if it has a finite one."""
    value = value_of(record, column)
    if value is None:
        return None
    return value if lower_is_better(column) else -value


def mean_ranks(records: Sequence[Record], rank_by: str) -> list[float]:
    """Return each record's rank from 1 for the best, equal ones sharing theirs, over all columns.

    A missing or non-finite value ranks after every other.
    """
    losses = {name: [rank_loss(r, name) for r in records] for name in score_columns(rank_by)}
    return joint_ranks(losses, rank_by)


def joint_ranks(losses: Mapping[str, Sequence[float | None]], rank_by: str) -> list[float]:
    """Return the same from the values of each column, such that lower is better."""
    by_column = [_ranks(losses[name]) for name in score_columns(rank_by)]
    below = len(by_column[0]) + 1  # the last of all stands on place 1 from the bottom
    return [joined(ranks, below, joint(rank_by)) for ranks in zip(*by_column, strict=True)]


def joined(ranks: Sequence[float], below: float, how: str) -> float:
    """Return the mean of one candidate's ranks, lower is better.

    Args:
        ranks: one in each column.
        below: the rank after the last.
        how: ``+`` for the arithmetic mean, ``*`` for the geometric one of what is below each rank.
    """
    if how == "+":
        return fmean(ranks)
    return below - math.prod(below - rank for rank in ranks) ** (1 / len(ranks))


def ranked(
    records: Iterable[Record], rank_by: str = DEFAULT, limits: Sequence[Limit] = ()
) -> list[Record]:
    """Sort candidates best first, each by the record of its largest budget.

    Successful ones come first, and of them those within all limits; then a larger budget counts
    more than any score, since scores of different budgets cannot be compared. Then the score
    decides, then the proxy's loss, then the number of parameters, and last the key, so that the
    order does not depend on who finished first. A missing or non-finite value comes after every
    other.
    """
    latest: dict[str, Record] = {}
    for record in records:
        if record.key not in latest or record.budget > latest[record.key].budget:
            latest[record.key] = record
    groups: dict[tuple[bool, bool, int], list[Record]] = defaultdict(list)
    for record in latest.values():
        beyond = any(limit.violation(record) > 0 for limit in limits)
        groups[record.status is not Status.OK, beyond, -record.budget].append(record)
    return [r for group in sorted(groups) for r in _sorted(groups[group], rank_by)]


def _sorted(comparable: Sequence[Record], rank_by: str) -> list[Record]:
    """Sort candidates of equal standing by their score, then by what breaks ties."""

    def key(item: tuple[float, Record]) -> tuple[Any, ...]:
        rank, record = item
        ties = (_last_if_missing(loss_of(record, name)) for name in ("proxy_loss", "params"))
        return (rank, *ties, record.key, record.tell_index)

    ranks = mean_ranks(comparable, rank_by)
    return [r for _, r in sorted(zip(ranks, comparable, strict=True), key=key)]


def rank_loss(record: Record, column: str) -> float | None:
    """Return a record's value in a column that ranks, such that lower is better."""
    value = value_of(record, column)
    if value is None:
        return None
    return value if lower_ranks_first(column) else -value


def _ranks(losses: Sequence[float | None]) -> list[float]:
    """Return ranks from 1, the mean of their places for equal values, missing ones last."""
    keys = [_last_if_missing(loss) for loss in losses]
    ordered = sorted(keys)
    return [(bisect_left(ordered, key) + bisect_right(ordered, key) + 1) / 2 for key in keys]


def _last_if_missing(loss: float | None) -> tuple[bool, float]:
    return (True, 0.0) if loss is None else (False, loss)


def order_by(rank_by: str, columns: Collection[str], limits: Sequence[Limit] = ()) -> str:
    """Return the same order as the terms of an SQL ``ORDER BY``.

    Args:
        rank_by: the score; a column that no candidate has counts as missing everywhere.
        columns: the table's columns.
        limits: what candidates must keep.
    """
    standing = [f"status <> '{Status.OK}'", f"NOT ({within(limits, columns)})", "budget DESC"]
    score = [name for name in score_columns(rank_by) if name in columns]
    if len(score) > 1:
        terms = [_sql_joint_rank(score, joint(rank_by), standing)]
    else:
        terms = [_sql_order(name, lower_ranks_first(name)) for name in score]
    ties = [_sql_order(name, lower=True) for name in ("proxy_loss", "params") if name in columns]
    return ", ".join([*standing, *terms, *ties, "key", "tell_index"])


def _sql_order(column: str, lower: bool) -> str:
    return f"{_sql_finite(column)} {'ASC' if lower else 'DESC'} NULLS LAST"


def _sql_finite(column: str) -> str:
    # A double NaN sorts above every number in SQL, so it is taken for a null.
    value = quoted(column)
    return f"CASE WHEN isfinite({value}::DOUBLE) THEN {value} END"


def _sql_joint_rank(score: Sequence[str], how: str, standing: Sequence[str]) -> str:
    """Return the SQL of what sorts candidates of equal standing by several columns."""
    ranks = [_sql_rank(name, standing) for name in score]
    if how == "+":
        return " + ".join(ranks)
    below = f"(count(*) OVER (PARTITION BY {_group(standing)}) + 1)"
    product = " * ".join(f"({below} - {rank})" for rank in ranks)
    return f"{below} - pow({product}, 1.0 / {len(score)})"


def _group(standing: Sequence[str]) -> str:
    return ", ".join(term.removesuffix(" DESC") for term in standing)


def _sql_rank(column: str, standing: Sequence[str]) -> str:
    """Return the SQL of a candidate's rank among those of equal standing.

    It is the mean of the first and the last place of its equals, which both come of one sort.
    """
    order = _sql_order(column, lower_ranks_first(column))
    window = f"(PARTITION BY {_group(standing)} ORDER BY {order})"
    return f"((rank() OVER {window} + count(*) OVER {window}) / 2.0)"


def within(limits: Sequence[Limit], columns: Collection[str]) -> str:
    """Return the SQL condition that a candidate keeps all limits."""
    return " AND ".join(limit.sql(columns) for limit in limits) or "true"
