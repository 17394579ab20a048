"""A control for ``gtn``: the same training, on the lesson of a teacher with fresh weights."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from gtn_nas.proxies.base import Build, ProxyData, ProxySettings, Scores, Tensors
from gtn_nas.proxies.gtn import copied, lesson_of, mean_scores, score_after
from gtn_nas.teacher.inner_loop import Lesson
from gtn_nas.trial import Trial


class UntrainedProxy:
    """Trains a candidate on the first ``budget`` steps of an untrained teacher's lesson.

    Args:
        lesson: that of a teacher with fresh weights and noise, with the trained teacher's step
            sizes.
        seeds: number of initialisations that scores are the mean of.
    """

    def __init__(self, lesson: Lesson, seeds: int = 1) -> None:
        self.lesson, self.seeds = lesson, seeds

    def __call__(self, build: Build, trial: Trial, data: ProxyData) -> Scores:
        """Train the candidate and score it; see ``base.Proxy``."""
        lesson = self.lesson.first(trial.budget)
        found = mean_scores(
            [score_after(build(i), copied(lesson), data) for i in range(self.seeds)]
        )
        return replace(
            found,
            columns={
                "untrained_accuracy": found.columns["proxy_accuracy"],
                "untrained_loss": found.columns["proxy_loss"],
            },
        )


def make(names: Collection[str], settings: ProxySettings, tensors: Tensors) -> UntrainedProxy:
    """Make the proxy; see ``base.Make``."""
    return UntrainedProxy(lesson_of(tensors, "untrained"), settings.seeds)
