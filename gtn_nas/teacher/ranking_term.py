"""A term of the meta-loss that trains the teacher to rank learners by their true quality.

If one network is truly better than another, its real-data loss after the lesson should be smaller.
For every such pair the term is the logistic loss of ``sharpness`` times the difference of the two
losses (Burges et al. 2005, RankNet; for synthetic data that reproduces a ranking: Rawal et al.
2020, arXiv 2005.13092, section 3). The gradient of each learner's loss is computed separately. The
chain rule then gives the gradient of the term: each of these gradients is multiplied by the
derivative of the term with respect to that learner's loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations


def ranking_loss(losses: Sequence[float], truths: Sequence[float], sharpness: float) -> float:
    """Return the mean logistic loss over all pairs of different truth; 0 if there is no pair.

    See ``ranking_derivatives`` for the arguments.
    """
    pairs = _pairs(truths)
    margins = [sharpness * (losses[worse] - losses[better]) for better, worse in pairs]
    return sum(math.log1p(math.exp(-abs(m))) + max(-m, 0) for m in margins) / max(len(pairs), 1)


def ranking_derivatives(
    losses: Sequence[float], truths: Sequence[float], sharpness: float
) -> list[float]:
    """Return the derivative of ``ranking_loss`` with respect to each loss.

    Args:
        losses: real-data losses of the learners, lower is better.
        truths: true quality of each learner's architecture, higher is better.
        sharpness: factor of the difference of two losses.
    """
    pairs, found = _pairs(truths), [0.0] * len(losses)
    for better, worse in pairs:
        margin = sharpness * (losses[worse] - losses[better])
        push = sharpness * 0.5 * (1 - math.tanh(margin / 2)) / len(pairs)
        found[better] += push
        found[worse] -= push
    return found


def _pairs(truths: Sequence[float]) -> list[tuple[int, int]]:
    """Return the indices ``(better, worse)`` of every pair of different truth."""
    return [(a, b) for a, b in permutations(range(len(truths)), 2) if truths[a] > truths[b]]
