"""The proxy this package is about: a short training on the teacher's synthetic batches."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Sequence
from dataclasses import fields
from statistics import fmean

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import update_bn

from gtn_nas.proxies.base import Build, ProxyData, ProxySettings, Scores, Tensors
from gtn_nas.teacher.inner_loop import Lesson, score, teach
from gtn_nas.trial import Trial

EARLY_SHARE = 4
"""The early score is taken after a fourth of the lesson: after 8 of 32 steps."""

LATE_SHARE = 4
"""The training loss is the mean over the last fourth of the lesson: over 8 of 32 steps."""


class GtnProxy:
    """Trains a candidate on the first ``budget`` steps of the lesson and scores it on real images.

    ``proxy_accuracy`` and ``proxy_loss`` are those on validation images after the lesson.
    ``gtn_drop`` is the loss on the lesson's first batch before training, minus the loss on its
    last batch after training. ``gtn_improvement`` is the loss on validation images after the first
    quarter of the lesson, minus the loss after all of it.

    Args:
        lesson: the teacher's.
        seeds: number of initialisations that scores are the mean of.
        improvement: whether to compute ``gtn_improvement``, which takes a second training.
    """

    def __init__(self, lesson: Lesson, seeds: int = 1, *, improvement: bool = False) -> None:
        self.lesson, self.seeds, self.improvement = lesson, seeds, improvement

    def __call__(self, build: Build, trial: Trial, data: ProxyData) -> Scores:
        """Train the candidate and score it; see ``base.Proxy``."""
        return mean_scores([self._score(build, i, trial.budget, data) for i in range(self.seeds)])

    def _score(self, build: Build, initialisation: int, budget: int, data: ProxyData) -> Scores:
        lesson, learner = copied(self.lesson.first(budget)), build(initialisation)
        before = training_loss(learner, lesson, 0)
        scores = score_after(learner, lesson, data)
        drop = before - training_loss(learner, lesson, budget - 1)
        columns = {**scores.columns, "gtn_drop": drop}
        train_s, eval_s = scores.train_s, scores.eval_s
        if self.improvement:
            first = copied(self.lesson.first(max(1, budget // EARLY_SHARE)))
            early = score_after(build(initialisation), first, data)
            columns["gtn_improvement"] = early.columns["proxy_loss"] - columns["proxy_loss"]
            train_s, eval_s = train_s + early.train_s, eval_s + early.eval_s
        return Scores(columns, train_s, eval_s)


def make(names: Collection[str], settings: ProxySettings, tensors: Tensors) -> GtnProxy:
    """Make the proxy; see ``base.Make``."""
    improvement = "gtn_improvement" in names
    return GtnProxy(lesson_of(tensors, "lesson"), settings.seeds, improvement=improvement)


def lesson_of(tensors: Tensors, prefix: str) -> Lesson:
    """Return one of the lessons that workers share.

    Args:
        tensors: what they share.
        prefix: ``lesson`` for the teacher's, ``untrained`` for that of an untrained teacher.
    """
    return Lesson(*(tensors[f"{prefix}_{f.name}"] for f in fields(Lesson)))


@torch.no_grad()
def training_loss(learner: nn.Module, lesson: Lesson, step: int) -> float:
    """Return the loss on one batch of the lesson, in training mode."""
    logits = learner.train()(lesson.images[step].clone())
    return F.cross_entropy(logits, lesson.labels[step]).item()


def mean_scores(scores: Sequence[Scores]) -> Scores:
    """Return the mean of each column over several initialisations, and the sum of their times."""
    columns = {n: fmean(s.columns[n] for s in scores) for n in scores[0].columns}
    return Scores(columns, sum(s.train_s for s in scores), sum(s.eval_s for s in scores))


def score_after(
    learner: nn.Module, lesson: Lesson, data: ProxyData, *, training: bool = False
) -> Scores:
    """Train a network on a lesson, re-estimate its batch statistics, and score it on real images.

    Args:
        learner: a fresh network.
        lesson: what it is trained on.
        data: the real images.
        training: whether to return ``proxy_training_loss`` too: the mean loss while training on
            the last quarter of the lesson.

    Raises:
        FloatingPointError: the parameters or the scores are not finite.
    """
    started = time.perf_counter()
    losses = teach(learner, lesson)
    _finish(data)
    taught = time.perf_counter()
    update_bn([data.calibration], learner)
    accuracy, loss = score(learner, data.images, data.labels)
    if not math.isfinite(loss):
        raise FloatingPointError("the loss on validation images is not finite")
    columns = {"proxy_accuracy": accuracy, "proxy_loss": loss}
    if training:
        columns["proxy_training_loss"] = (
            losses[-math.ceil(lesson.steps / LATE_SHARE) :].mean().item()
        )
    return Scores(columns, taught - started, time.perf_counter() - taught)


def _finish(data: ProxyData) -> None:
    """Wait for the GPU to finish, so that its work counts in the time that is measured."""
    if data.images.is_cuda:
        torch.cuda.synchronize(data.images.device)


def copied(lesson: Lesson) -> Lesson:
    """Return a copy, since a network whose first layer works in place overwrites its images."""
    return Lesson(*(tensor.clone() for tensor in lesson.tensors))
