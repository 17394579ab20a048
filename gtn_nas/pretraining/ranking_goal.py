"""Labelled candidates that a teacher learns to rank: architectures with their true quality."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gtn_nas.architecture import Architecture
from gtn_nas.data.base import ImageDataset, Split
from gtn_nas.errors import ConfigError
from gtn_nas.pretraining.learners import is_held_out, lesson_losses
from gtn_nas.proxies.size import count_parameters
from gtn_nas.ranking.columns import lower_ranks_first
from gtn_nas.ranking.score import Score
from gtn_nas.ranking.statistics import spearman, with_interval
from gtn_nas.results.query import load_run
from gtn_nas.spaces.base import SearchSpace
from gtn_nas.teacher.artifact import MeasuredRanking
from gtn_nas.teacher.inner_loop import Lesson
from gtn_nas.trial import derived_seed

LEAST_LABELLED = 20
"""Smallest number of labelled architectures with which a teacher can learn to rank."""
LEAST_HELD_OUT = 2
"""Smallest number of them that must be held out, so that a correlation is defined."""


@dataclass(frozen=True)
class RankingLabels:
    """Architectures of one search space with their truths.

    Attributes:
        architectures: the architectures.
        truths: true quality of each architecture, higher is better. Only their order counts.
        source: description of the truths.
    """

    architectures: tuple[Architecture, ...]
    truths: tuple[float, ...]
    source: str = field(default="", compare=False)

    def part(self, *, held_out: bool) -> RankingLabels:
        """Return the labels of the held-out architectures, or of the others."""
        chosen = [
            (a, t)
            for a, t in zip(self.architectures, self.truths, strict=True)
            if is_held_out(a) == held_out
        ]
        return RankingLabels(tuple(a for a, _ in chosen), tuple(t for _, t in chosen), self.source)

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change with any architecture or truth."""
        keys = [architecture.key for architecture in self.architectures]
        return hashlib.sha256(repr((keys, self.truths)).encode()).hexdigest()[:16]

    def index_for(self, seed: int) -> int:
        """Return the index of the architecture that a seed draws."""
        return random.Random(seed).randrange(len(self.architectures))

    def truth(self, seed: int) -> float:
        """Return the truth of the architecture that a seed draws."""
        return self.truths[self.index_for(seed)]


def load_labels(run: Path, column: str, space: SearchSpace) -> RankingLabels:
    """Read labels from the candidates of a run, e.g. of short real trainings.

    Args:
        run: the run folder.
        column: column that counts as the truth, or several joined ones; see ``Score.parse``.
        space: search space that the candidates must belong to.

    Raises:
        GtnNasError: the folder is not a run folder, has no such column, or has too few candidates
            with a value in it.
    """
    score = Score.parse(column)
    asked = dict.fromkeys(["key", "space", "choices", *score.columns])
    rows = load_run(run).query(columns=list(asked), where="status = 'ok'")
    found = [
        row
        for row in rows
        if row["space"] == space.name and all(row[name] is not None for name in score.columns)
    ]
    if len(found) < LEAST_LABELLED:
        raise ConfigError(
            f"{run} has {len(found)} candidates of {space.name} with a {column}; {LEAST_LABELLED} "
            "or more are needed to learn to rank"
        )
    found.sort(key=lambda row: str(row["key"]))  # the order of a run depends on its workers
    losses = [[_loss(name, float(row[name])) for row in found] for name in score.columns]
    ranks = score.ranks_by_losses(losses) if len(losses) > 1 else losses[0]
    return RankingLabels(
        tuple(space.canonical(Architecture.from_json(r["space"], r["choices"])) for r in found),
        tuple(-rank for rank in ranks),
        f"{column} of {run.name}",
    )


def _loss(column: str, value: float) -> float:
    return value if lower_ranks_first(column) else -value


@dataclass(frozen=True)
class LabelledSampler:
    """Builds learners of labelled architectures with fresh weights; a ``SampleLearner``.

    Attributes:
        labels: architectures from which learners are drawn.
        space: search space of the architectures.
        image_shape: channels, height and width.
        num_classes: number of classes.
        device: device of the learners.
    """

    labels: RankingLabels
    space: SearchSpace
    image_shape: tuple[int, int, int]
    num_classes: int
    device: torch.device

    def __call__(self, seed: int, weights: int | None = None) -> nn.Module:
        """Return a network at proxy scale; see ``SampleLearner``."""
        architecture = self.labels.architectures[self.labels.index_for(seed)]
        torch.manual_seed(seed if weights is None else weights)
        network = self.space.build(architecture, self.image_shape, self.num_classes, "proxy")
        return network.to(self.device)


@dataclass(frozen=True)
class RankedBest:
    """The teacher that ranked best so far.

    Attributes:
        correlation: how well it ranked: Spearman's correlation on held-out candidates.
        teacher: its state at that time, tensors by name.
    """

    correlation: float
    teacher: dict[str, Tensor]


class RankingGoal:
    """Measures how well a teacher ranks held-out candidates, and keeps the best teacher so far.

    Args:
        labels: candidates with their truths, both held-out ones and others.
        space: search space of the candidates.
        dataset: data set with the images for batch-norm statistics, and their normalisation.
        split: images that the candidates are scored on.

    Attributes:
        best: the teacher that ranked best so far; ``None`` before the first was measured.

    Raises:
        ConfigError: too few of the candidates are held out.
    """

    def __init__(
        self, labels: RankingLabels, space: SearchSpace, dataset: ImageDataset, split: Split
    ) -> None:
        self.labels, self.held_out = labels, labels.part(held_out=True)
        if len(self.held_out.architectures) < LEAST_HELD_OUT:
            raise ConfigError(
                f"of {len(labels.architectures)} labelled candidates, "
                f"{len(self.held_out.architectures)} are held out from meta-training, and "
                f"{LEAST_HELD_OUT} or more are needed to measure a ranking; label more"
            )
        self.space, self.dataset, self.split = space, dataset, split
        self.best: RankedBest | None = None

    def state_dict(self) -> dict[str, Any] | None:
        """Return the best so far as plain tensors and numbers, for a checkpoint."""
        if self.best is None:
            return None
        return {"correlation": self.best.correlation, "teacher": self.best.teacher}

    def load_state_dict(self, state: dict[str, Any] | None) -> None:
        """Take over what ``state_dict`` returned."""
        self.best = None if state is None else RankedBest(**state)

    def examine(self, lesson: Lesson, teacher: nn.Module) -> float:
        """Return the rank correlation of a teacher, and keep its state if it is the best so far.

        Args:
            lesson: the teacher's lesson.
            teacher: the teacher.
        """
        found = self.correlation(lesson)
        if self.best is None or found > self.best.correlation:
            state = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
            self.best = RankedBest(found, state)
        return found

    def correlation(self, lesson: Lesson) -> float:
        """Return Spearman's rank correlation between the negative real loss and the truth.

        Args:
            lesson: lesson that every held-out candidate is taught before its loss is measured.
        """
        return spearman(self._scores(lesson), np.array(self.held_out.truths))

    def measured(self, lesson: Lesson) -> MeasuredRanking:
        """Return the rank correlations and their intervals, for loss and number of parameters.

        Args:
            lesson: lesson that every held-out candidate is taught before its loss is measured.
        """
        truths, indices = np.array(self.held_out.truths), range(len(self.held_out.truths))
        sizes = np.array([float(count_parameters(self._build(index))) for index in indices])
        scores = {"proxy_loss": self._scores(lesson), "params": sizes}
        found = {name: with_interval(spearman, score, truths) for name, score in scores.items()}
        return MeasuredRanking(
            truth=self.labels.source,
            space=self.space.name,
            count=len(truths),
            spearman={name: (i.value, i.low, i.high) for name, i in found.items()},
        )

    def _scores(self, lesson: Lesson) -> NDArray[np.float64]:
        """Return the negative loss of each held-out candidate after the lesson."""
        device = lesson.images.device
        indices = range(len(self.held_out.truths))
        losses = lesson_losses(
            lambda index: lesson,
            lambda index: self._build(index).to(device),
            self.dataset,
            self.split,
            indices,
        )
        return -np.array(losses)

    def _build(self, index: int) -> nn.Module:
        torch.manual_seed(derived_seed(0, "rank"))  # the same for all, as in a search
        shape, classes = self.dataset.image_shape, self.dataset.num_classes
        return self.space.build(self.held_out.architectures[index], shape, classes, "proxy")
