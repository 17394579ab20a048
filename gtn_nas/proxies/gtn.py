"""The proxy this package is about: a few steps on the teacher's synthetic batches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import nn

from gtn_nas.proxies.base import Direction, ProxyData, Scores
from gtn_nas.teacher.inner_loop import Lesson, estimate_batch_statistics, score, teach
from gtn_nas.trial import Trial


class GtnProxy:
    """Accuracy and loss on real images after the first ``budget`` steps of the lesson."""

    directions: ClassVar[Mapping[str, Direction]] = {
        "proxy_accuracy": "higher",
        "proxy_loss": "lower",
    }
    source: ClassVar[str] = "Such et al. 2019, arXiv 1912.07768, section 4.3"

    def __init__(self, lesson: Lesson) -> None:
        self.lesson = lesson

    def __call__(self, build: Callable[[], nn.Module], trial: Trial, data: ProxyData) -> Scores:
        """Teach the candidate and score it; see ``Proxy``."""
        return score_after(build(), self.lesson.first(trial.budget), data)


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
