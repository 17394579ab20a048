"""What ranks candidates where nobody says: what measured best, and the teacher if it ranks.

On NAS-Bench-201 the rank in ``proxy_loss`` as an equal third took 0.013 of Spearman's correlation
away from the other two with a teacher that ranks at 0.70, and added 0.016 with one that ranks at
0.80, and three seeds. ``synflow`` as a fourth costs 0.005 of that, and adds 0.03 among the better
half of the cells (docs/results.md, "NAS-Bench-201: what ranks its cells?").
"""

from __future__ import annotations

from collections.abc import Collection

from gtn_nas.config.search import SearchConfig
from gtn_nas.teacher.artifact import TeacherHeader

RANK_BY = "jacob_cov*params"
"""Without any training."""
RANK_BY_TEACHER = f"{RANK_BY}*synflow*proxy_loss"
"""With a teacher that was found to rank; synflow tells the best from the good."""
TEACHER_SEEDS = 3
"""Initialisations that its loss is then the mean of; the luck of one is as large as its gain."""
LEAST_SPEARMAN = 0.75
"""What its loss must have been found to have; see above."""


def decided_ranking(
    config: SearchConfig, teacher: TeacherHeader | None, proxies: Collection[str]
) -> tuple[str, int]:
    """Return ``rank_by`` and ``proxy_seeds``, decided where the configuration leaves them open.

    Args:
        config: of a search.
        teacher: what is known of its teacher, if it has one.
        proxies: names of what scores its candidates.
    """
    counts = config.rank_by is None and "gtn" in proxies and _ranks(teacher, config.space)
    rank_by, seeds = (RANK_BY_TEACHER, TEACHER_SEEDS) if counts else (RANK_BY, 1)
    return config.rank_by or rank_by, config.proxy_seeds or seeds


def _ranks(teacher: TeacherHeader | None, space: str) -> bool:
    """Tell whether a teacher was found to rank candidates of a search space."""
    if teacher is None or teacher.ranking is None or teacher.ranking.space != space:
        return False
    return teacher.ranking.spearman.get("proxy_loss", (0.0,))[0] >= LEAST_SPEARMAN
