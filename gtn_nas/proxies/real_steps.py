"""The control: as many steps on real training images as the teacher gives on synthetic ones.

The training loss of the last quarter of the steps ranks networks too (Ru et al. 2021, "Speedy
Performance Estimation for Neural Architecture Search", arXiv 2006.04492, section 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from gtn_nas.proxies.base import Build, Direction, ProxyData, Scores, seed_of
from gtn_nas.proxies.gtn import mean_scores, score_after
from gtn_nas.teacher.curriculum import real_lesson
from gtn_nas.trial import Trial


class RealStepsProxy:
    """Accuracy and loss after SGD steps on shuffled real training images, as many as rates.

    Args:
        images: ``(N, C, H, W)`` normalised training images.
        labels: ``(N,)`` their classes.
        batch_size: images in a batch.
        learning_rates: ``(T,)``, one for every step; a trial's budget does not change them.
        momenta: ``(T,)``.
        seeds: initialisations, and orders of the images, that scores are the mean of.
    """

    name: ClassVar[str] = "real_steps"
    directions: ClassVar[Mapping[str, Direction]] = {
        "real_accuracy": "higher",
        "real_loss": "lower",
        "real_training_loss": "lower",
    }
    source: ClassVar[str] = "Such et al. 2019, arXiv 1912.07768, section 4.3 (real-data control)"

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        batch_size: int,
        learning_rates: Tensor,
        momenta: Tensor,
        seeds: int = 1,
    ) -> None:
        self.images, self.labels, self.batch_size = images, labels, batch_size
        self.learning_rates, self.momenta, self.seeds = learning_rates, momenta, seeds

    def __call__(self, build: Build, trial: Trial, data: ProxyData) -> Scores:
        """Train the candidate on batches drawn by its seed and score it; see ``Proxy``."""
        found = mean_scores(
            [self._score(build(i), seed_of(trial, i), data) for i in range(self.seeds)]
        )
        return replace(found, columns={f"real{n[5:]}": v for n, v in found.columns.items()})

    def _score(self, learner: nn.Module, seed: int, data: ProxyData) -> Scores:
        rng = torch.Generator().manual_seed(seed)
        lesson = real_lesson(
            self.images, self.labels, self.batch_size, self.learning_rates, self.momenta, rng
        )
        return score_after(learner, lesson, data, training=True)
