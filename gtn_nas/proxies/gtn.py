"""The proxy this package is about: a few steps on the teacher's synthetic batches."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import ClassVar

import torch
from torch import nn

from gtn_nas.proxies.base import Build, Direction, ProxyData, Scores
from gtn_nas.teacher.inner_loop import Lesson, estimate_batch_statistics, score, teach
from gtn_nas.trial import Trial


class GtnProxy:
    """Accuracy and loss on real images after the first ``budget`` steps of the lesson.

    Args:
        lesson: the teacher's.
        seeds: initialisations that scores are the mean of.
    """

    name: ClassVar[str] = "gtn"
    directions: ClassVar[Mapping[str, Direction]] = {
        "proxy_accuracy": "higher",
        "proxy_loss": "lower",
    }
    source: ClassVar[str] = "Such et al. 2019, arXiv 1912.07768, section 4.3"

    def __init__(self, lesson: Lesson, seeds: int = 1) -> None:
        self.lesson, self.seeds = lesson, seeds

    def __call__(self, build: Build, trial: Trial, data: ProxyData) -> Scores:
        """Teach the candidate and score it; see ``Proxy``."""
        lesson = self.lesson.first(trial.budget)
        return mean_scores(
            [score_after(build(i), _copied(lesson), data) for i in range(self.seeds)]
        )


def mean_scores(scores: Sequence[Scores]) -> Scores:
    """Return the mean of each column over initialisations, and the sum of times."""
    columns = {n: fmean(s.columns[n] for s in scores) for n in scores[0].columns}
    return Scores(columns, sum(s.train_s for s in scores), sum(s.eval_s for s in scores))


def score_after(learner: nn.Module, lesson: Lesson, data: ProxyData) -> Scores:
    """Teach a learner on a lesson, re-estimate its batch statistics and score it.

    Raises:
        FloatingPointError: parameters or scores are not finite.
    """
    started = time.perf_counter()
    teach(learner, lesson)
    _finish(data)
    taught = time.perf_counter()
    estimate_batch_statistics(learner, data.calibration)
    accuracy, loss = score(learner, data.images, data.labels)
    if not math.isfinite(loss):
        raise FloatingPointError("the loss on validation images is not finite")
    columns = {"proxy_accuracy": accuracy, "proxy_loss": loss}
    return Scores(columns, taught - started, time.perf_counter() - taught)


def _finish(data: ProxyData) -> None:
    """Wait for queued GPU work, so that times mean what they say."""
    if data.images.is_cuda:
        torch.cuda.synchronize(data.images.device)


def _copied(lesson: Lesson) -> Lesson:
    """Return a copy: a network whose first layer works in place writes on its images."""
    return Lesson(*(tensor.clone() for tensor in lesson.tensors))
