"""What a teacher learns to rank by: architectures, and how good each came out."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from gtn_nas.architecture import Architecture
from gtn_nas.data.base import ImageDataset, Split
from gtn_nas.errors import ConfigError
from gtn_nas.learners import is_held_out, lesson_losses
from gtn_nas.results.query import load_run
from gtn_nas.results.ranking import lower_is_better
from gtn_nas.spaces.base import SearchSpace
from gtn_nas.teacher.inner_loop import Lesson
from gtn_nas.trial import derived_seed

LEAST = 20
"""Labelled architectures below which there is nothing to learn or to measure."""


@dataclass(frozen=True)
class Labels:
    """Architectures of one search space with their truth, higher is better.

    Attributes:
        architectures: one for each truth.
        truths: any scale; only their order counts.
    """

    architectures: tuple[Architecture, ...]
    truths: tuple[float, ...]

    def part(self, *, held_out: bool) -> Labels:
        """Return those that meta-training may see, or those that it must not."""
        chosen = [
            (a, t)
            for a, t in zip(self.architectures, self.truths, strict=True)
            if is_held_out(a) == held_out
        ]
        return Labels(tuple(a for a, _ in chosen), tuple(t for _, t in chosen))

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change with any architecture or truth."""
        keys = [architecture.key for architecture in self.architectures]
        return hashlib.sha256(repr((keys, self.truths)).encode()).hexdigest()[:16]

    def place(self, seed: int) -> int:
        """Return which of them a seed draws."""
        return random.Random(seed).randrange(len(self.architectures))

    def truth(self, seed: int) -> float:
        """Return the truth of the one that a seed draws."""
        return self.truths[self.place(seed)]


def load_labels(run: Path, column: str, space: SearchSpace) -> Labels:
    """Read labels from the candidates of a run, e.g. of short real trainings.

    Args:
        run: the run's folder.
        column: what counts as truth; its name tells whether lower is better.
        space: that they must be of.

    Raises:
        GtnNasError: the folder is no run, has no such column, or too few candidates in it.
    """
    rows = load_run(run).query(columns=["key", "space", "choices", column], where="status = 'ok'")
    found = [row for row in rows if row[column] is not None and row["space"] == space.name]
    if len(found) < LEAST:
        raise ConfigError(
            f"{run} has {len(found)} candidates of {space.name} with a {column}; {LEAST} or more "
            "are needed to learn to rank"
        )
    found.sort(key=lambda row: str(row["key"]))  # the order of a run depends on its workers
    sign = -1.0 if lower_is_better(column) else 1.0
    return Labels(
        tuple(space.canonical(Architecture.from_json(r["space"], r["choices"])) for r in found),
        tuple(sign * float(row[column]) for row in found),
    )


@dataclass(frozen=True)
class LabelledSampler:
    """Builds learners of labelled architectures with fresh weights, both from one seed."""

    labels: Labels
    space: SearchSpace
    image_shape: tuple[int, int, int]
    num_classes: int
    device: torch.device

    def __call__(self, seed: int) -> nn.Module:
        """Return a network at proxy scale."""
        architecture = self.labels.architectures[self.labels.place(seed)]
        torch.manual_seed(seed)
        network = self.space.build(architecture, self.image_shape, self.num_classes, "proxy")
        return network.to(self.device)


def rank_correlation(
    lesson: Lesson,
    labels: Labels,
    space: SearchSpace,
    dataset: ImageDataset,
    split: Split,
    seed: int = 0,
) -> float:
    """Return Spearman's correlation of minus the real loss after a lesson with the truth.

    Args:
        lesson: what every learner is taught with.
        labels: learners to teach, all of them, and their truth.
        space: of the learners.
        dataset: whose images they are scored on.
        split: the images.
        seed: decides their weights.
    """
    from scipy.stats import spearmanr

    def build(place: int) -> nn.Module:
        torch.manual_seed(derived_seed(seed, "rank", place))
        shape, classes = dataset.image_shape, dataset.num_classes
        network = space.build(labels.architectures[place], shape, classes, "proxy")
        return network.to(lesson.images.device)

    places: Sequence[int] = range(len(labels.architectures))
    losses = lesson_losses(lambda place: lesson, build, dataset, split, places)
    return float(spearmanr([-loss for loss in losses], labels.truths).statistic)
