"""A control for ``gtn``: as many training steps as a lesson has, but on real training images."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import torch
from torch import Tensor, nn

from gtn_nas.data.base import normalise
from gtn_nas.proxies.base import Build, ProxyData, ProxySettings, Scores, Tensors, seed_of
from gtn_nas.proxies.gtn import mean_scores, score_after
from gtn_nas.teacher.curriculum import cosine, real_lesson
from gtn_nas.trial import Trial


class RealStepsProxy:
    """Trains a candidate by SGD on shuffled real images and scores it on other real images.

    ``real_accuracy`` and ``real_loss`` are those on validation images after the training.
    ``real_training_loss`` is the mean loss while training on the last quarter of the batches (Ru
    et al. 2021, arXiv 2006.04492, section 3).

    Args:
        images: ``(N, C, H, W)`` normalised training images.
        labels: ``(N,)`` their classes.
        batch_size: images in a batch.
        learning_rates: ``(T,)``, one for each step. A trial's budget does not change them.
        momenta: ``(T,)``, one for each step.
        seeds: number of initialisations, each with an order of the images of its own, that scores
            are the mean of.
    """

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
        """Train the candidate on batches drawn by its seed and score it; see ``base.Proxy``."""
        found = mean_scores(
            [self._score(build(i), seed_of(trial, i), data) for i in range(self.seeds)]
        )
        return replace(
            found,
            columns={
                "real_accuracy": found.columns["proxy_accuracy"],
                "real_loss": found.columns["proxy_loss"],
                "real_training_loss": found.columns["proxy_training_loss"],
            },
        )

    def _score(self, learner: nn.Module, seed: int, data: ProxyData) -> Scores:
        rng = torch.Generator().manual_seed(seed)
        lesson = real_lesson(
            self.images, self.labels, self.batch_size, self.learning_rates, self.momenta, rng
        )
        return score_after(learner, lesson, data, training=True)


def make(names: Collection[str], settings: ProxySettings, tensors: Tensors) -> RealStepsProxy:
    """Make the proxy; see ``base.Make``."""
    rates, momenta, steps = settings.real_learning_rate, settings.real_momentum, settings.real_steps
    return RealStepsProxy(
        normalise(tensors["training_images"], settings.mean, settings.std),
        tensors["training_labels"],
        settings.real_batch_size,
        torch.tensor(rates) if isinstance(rates, tuple) else rates * cosine(steps),
        torch.tensor(momenta) if isinstance(momenta, tuple) else torch.full((steps,), momenta),
        settings.seeds,
    )
