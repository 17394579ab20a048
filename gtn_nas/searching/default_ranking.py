"""The default ranking: the proxies that ranked best when measured, and the teacher if it ranks.

Measured on NAS-Bench-201, as Spearman's rank correlation: ``jacob_cov`` and ``params`` joined by
``proxy_loss`` with equal weight lose 0.013 if the teacher alone ranks at 0.70, and gain 0.016 if
the teacher ranks at 0.80 and three seeds are averaged. ``synflow`` as a fourth column costs 0.005
of this gain, but adds 0.03 among the better half of the cells (docs/results.md, "NAS-Bench-201:
what ranks its cells?").
"""

from __future__ import annotations

from collections.abc import Collection

from gtn_nas.config.search import SearchConfig
from gtn_nas.teacher.artifact import TeacherHeader

RANK_BY = "jacob_cov*params"
"""Default of ``rank_by`` without a teacher that ranks: neither proxy trains the candidate."""
RANK_BY_TEACHER = f"{RANK_BY}*synflow*proxy_loss"
"""Default with a teacher that was found to rank; synflow separates the best from the good."""
TEACHER_SEEDS = 3
"""Initialisations over which ``proxy_loss`` is then averaged.

The noise of a single initialisation is as large as what the loss adds to the ranking.
"""
LEAST_SPEARMAN = 0.75
"""Rank correlation of ``proxy_loss`` from which on a teacher counts as one that ranks."""


def decided_ranking(
    config: SearchConfig, teacher: TeacherHeader | None, proxies: Collection[str]
) -> tuple[str, int]:
    """Return ``rank_by`` and ``proxy_seeds``, with defaults where the configuration sets none.

    Args:
        config: configuration of a search.
        teacher: header of the teacher's file, if the search has a teacher.
        proxies: names of the proxies that score the candidates.
    """
    counts = config.rank_by is None and "gtn" in proxies and _ranks(teacher, config.space)
    rank_by, seeds = (RANK_BY_TEACHER, TEACHER_SEEDS) if counts else (RANK_BY, 1)
    return config.rank_by or rank_by, config.proxy_seeds or seeds


def _ranks(teacher: TeacherHeader | None, space: str) -> bool:
    """Tell whether a teacher was measured to rank candidates of a search space well enough."""
    if teacher is None or teacher.ranking is None or teacher.ranking.space != space:
        return False
    return teacher.ranking.spearman.get("proxy_loss", (0.0,))[0] >= LEAST_SPEARMAN
