"""The control: as many steps on real training images as the teacher gives on synthetic ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from gtn_nas.proxies.base import Direction, ProxyData, Scores
from gtn_nas.proxies.gtn import score_after
from gtn_nas.teacher.curriculum import real_lesson
from gtn_nas.trial import Trial


class RealStepsProxy:
    """Accuracy and loss after ``budget`` SGD steps on shuffled real training images.

    Args:
        images: ``(N, C, H, W)`` normalised training images.
        labels: ``(N,)`` their classes.
        batch_size: images in a batch.
        learning_rates: ``(T,)``, one for every step up to the largest budget.
        momenta: ``(T,)``.
    """

    directions: ClassVar[Mapping[str, Direction]] = {
        "proxy_accuracy": "higher",
        "proxy_loss": "lower",
    }
    source: ClassVar[str] = "Such et al. 2019, arXiv 1912.07768, section 4.3 (real-data control)"

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        batch_size: int,
        learning_rates: Tensor,
        momenta: Tensor,
    ) -> None:
        self.images, self.labels, self.batch_size = images, labels, batch_size
        self.learning_rates, self.momenta = learning_rates, momenta

    def __call__(self, build: Callable[[], nn.Module], trial: Trial, data: ProxyData) -> Scores:
        """Train the candidate on batches drawn by its seed and score it; see ``Proxy``."""
        rng = torch.Generator().manual_seed(trial.seed)
        lesson = real_lesson(
            self.images, self.labels, self.batch_size, self.learning_rates, self.momenta, rng
        )
        return score_after(build(), lesson.first(trial.budget), data)
