"""The proxy this package is about: a few steps on the teacher's synthetic batches."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import update_bn

from gtn_nas.proxies.base import Build, Direction, ProxyData, Scores
from gtn_nas.teacher.inner_loop import Lesson, score, teach
from gtn_nas.trial import Trial

EARLY_SHARE = 4
"""An early score is taken after so small a part of the lesson: 8 of 32 steps."""


LATE_SHARE = 4
"""The training loss is taken over so small a part of the lesson, its end."""


class GtnProxy:
    """What a candidate reaches on real images after the first ``budget`` steps of the lesson.

    ``gtn_drop`` is how far the loss on the synthetic batches falls, from the first to the last;
    ``gtn_improvement`` how far the real loss falls after the first quarter of the lesson.

    Args:
        lesson: the teacher's.
        seeds: initialisations that scores are the mean of.
        improvement: whether to score after a quarter of the steps too.
    """

    name: ClassVar[str] = "gtn"
    directions: ClassVar[Mapping[str, Direction]] = {
        "proxy_accuracy": "higher",
        "proxy_loss": "lower",
        "gtn_drop": "higher",
        "gtn_improvement": "higher",
    }
    source: ClassVar[str] = "Such et al. 2019, arXiv 1912.07768, section 4.3"

    def __init__(self, lesson: Lesson, seeds: int = 1, *, improvement: bool = False) -> None:
        self.lesson, self.seeds, self.improvement = lesson, seeds, improvement

    def __call__(self, build: Build, trial: Trial, data: ProxyData) -> Scores:
        """Teach the candidate and score it; see ``Proxy``."""
        return mean_scores([self._score(build, i, trial.budget, data) for i in range(self.seeds)])

    def _score(self, build: Build, initialisation: int, budget: int, data: ProxyData) -> Scores:
        lesson, learner = _copied(self.lesson.first(budget)), build(initialisation)
        before = training_loss(learner, lesson, 0)
        scores = score_after(learner, lesson, data)
        drop = before - training_loss(learner, lesson, budget - 1)
        columns = {**scores.columns, "gtn_drop": drop}
        train_s, eval_s = scores.train_s, scores.eval_s
        if self.improvement:
            first = _copied(self.lesson.first(max(1, budget // EARLY_SHARE)))
            early = score_after(build(initialisation), first, data)
            columns["gtn_improvement"] = early.columns["proxy_loss"] - columns["proxy_loss"]
            train_s, eval_s = train_s + early.train_s, eval_s + early.eval_s
        return Scores(columns, train_s, eval_s)


class UntrainedProxy:
    """The control: the same with a lesson whose images no meta-training has formed.

    Args:
        lesson: of a teacher with fresh weights and noise, at the trained one's step sizes.
        seeds: initialisations that scores are the mean of.
    """

    name: ClassVar[str] = "gtn_untrained"
    directions: ClassVar[Mapping[str, Direction]] = {
        "untrained_accuracy": "higher",
        "untrained_loss": "lower",
    }
    source: ClassVar[str] = "Such et al. 2019, arXiv 1912.07768, section 4.3 (control)"

    def __init__(self, lesson: Lesson, seeds: int = 1) -> None:
        self.lesson, self.seeds = lesson, seeds

    def __call__(self, build: Build, trial: Trial, data: ProxyData) -> Scores:
        """Teach the candidate and score it; see ``Proxy``."""
        lesson = self.lesson.first(trial.budget)
        found = mean_scores(
            [score_after(build(i), _copied(lesson), data) for i in range(self.seeds)]
        )
        return replace(found, columns={f"untrained{n[5:]}": v for n, v in found.columns.items()})


@torch.no_grad()
def training_loss(learner: nn.Module, lesson: Lesson, step: int) -> float:
    """Return the loss on a batch of the lesson, as it is while training."""
    logits = learner.train()(lesson.images[step].clone())
    return F.cross_entropy(logits, lesson.labels[step]).item()


def mean_scores(scores: Sequence[Scores]) -> Scores:
    """Return the mean of each column over initialisations, and the sum of times."""
    columns = {n: fmean(s.columns[n] for s in scores) for n in scores[0].columns}
    return Scores(columns, sum(s.train_s for s in scores), sum(s.eval_s for s in scores))


def score_after(
    learner: nn.Module, lesson: Lesson, data: ProxyData, *, training: bool = False
) -> Scores:
    """Teach a learner on a lesson, re-estimate its batch statistics and score it.

    Args:
        learner: a fresh network.
        lesson: what it is taught.
        data: real images.
        training: whether to tell its loss on the lesson's last batches too.

    Raises:
        FloatingPointError: parameters or scores are not finite.
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
    """Wait for queued GPU work, so that times mean what they say."""
    if data.images.is_cuda:
        torch.cuda.synchronize(data.images.device)


def _copied(lesson: Lesson) -> Lesson:
    """Return a copy: a network whose first layer works in place writes on its images."""
    return Lesson(*(tensor.clone() for tensor in lesson.tensors))
