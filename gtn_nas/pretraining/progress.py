"""How far a meta-training is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Progress:
    """Progress of a meta-training.

    Attributes:
        stage: ``learning rates``, ``warm start`` or ``meta-training``.
        done: number of steps of this stage that are done.
        total: number of all steps of this stage.
        loss: depends on the stage: error rate (0-1) at a learning rate, mean squared error of the
            warm start, or mean meta-loss of the latest steps.
        held_out_accuracy: latest mean validation accuracy (0-1) of held-out learners.
        rank_correlation: latest rank correlation of held-out labelled candidates, if there are any.
    """

    stage: Literal["learning rates", "warm start", "meta-training"]
    done: int
    total: int
    loss: float
    held_out_accuracy: float | None = None
    rank_correlation: float | None = None
