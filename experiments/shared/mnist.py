"""What the MNIST experiments share: two budgets, meta-training that goes on after a kill, scores.

``small`` proves an experiment on two cores in minutes, with images of 14 pixels a side, shorter
lessons and fewer steps; ``full`` is the claim. Every meta-training checkpoints itself under
``checkpoints/`` and goes on from there when its experiment is started again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import nn

from experiments.shared.arguments import Budget, with_data_dir
from experiments.shared.learner_families import TwoConvs
from gtn_nas.architecture import Architecture
from gtn_nas.config.pretrain import PretrainConfig
from gtn_nas.data import load_dataset
from gtn_nas.data.base import ImageDataset
from gtn_nas.pretraining.learners import lesson_accuracies
from gtn_nas.pretraining.pretraining import Pretraining
from gtn_nas.spaces.base import SearchSpace
from gtn_nas.teacher.artifact import load_teacher
from gtn_nas.teacher.curriculum import cosine, real_lesson
from gtn_nas.teacher.inner_loop import Lesson
from gtn_nas.teacher.meta_training import MetaTrainer
from gtn_nas.trial import derived_seed

CHECKPOINTS = Path("checkpoints")
TWO_CONVS = "experiments.shared.learner_families:TwoConvs"
RATES = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
MOMENTA = (0.5, 0.8, 0.9)

LessonFor = Callable[[int], Lesson]
SampleLearner = Callable[[int], nn.Module]
SplitName = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Options:
    """What every MNIST experiment is asked on its command line."""

    data_dir: Path
    budget: Budget

    def config(self, name: str, **values: Any) -> PretrainConfig:
        """Return the meta-training of an arm, of the size that the budget allows.

        Args:
            name: of its artefact; what is no letter, digit, ``-`` or ``_`` becomes ``_``.
            values: settings beside those of the budget.
        """
        # This family bears larger steps, and whole lessons, than ``conv_chain`` does.
        sizes: dict[str, Any] = {"channels": 32, "learning_rate": 0.003, "window": 32}
        if self.budget == "small":
            sizes |= {"image_size": 14, "inner_steps": 16, "window": 16, "batch_size": 64}
            sizes |= {"hidden": 128, "channels": 16, "meta_iterations": 200}
            sizes |= {"warm_start_steps": 300}
        else:
            sizes |= {"meta_iterations": 1600}
        stem = re.sub(r"[^\w-]+", "_", name)
        out = CHECKPOINTS / f"{stem}-{self.budget}.safetensors"
        shared = {"dataset": "mnist", "data_dir": self.data_dir, "space": TWO_CONVS, "out": out}
        return PretrainConfig.model_validate(shared | sizes | values)

    def dataset(self) -> ImageDataset:
        """Load MNIST at the size of the budget."""
        size = 14 if self.budget == "small" else None
        return load_dataset("mnist", data_dir=self.data_dir, image_size=size)


def options(description: str | None) -> Options:
    """Read the command line; everything runs on one thread, so that arms can run side by side."""
    parser = with_data_dir(description)
    parser.add_argument("--budget", choices=get_args(Budget), default="small")
    given = parser.parse_args()
    torch.set_num_threads(1)
    return Options(given.data_dir, given.budget)


def meta_train(run: Pretraining) -> Pretraining:
    """Take the outer steps that are left, telling of every hundredth."""
    for progress in run.run():
        if progress.stage == "meta-training" and progress.done % 100 == 0:
            print(f"{run.out}: {progress}", flush=True)
    return run


def meta_trained(config: PretrainConfig) -> Pretraining:
    """Meta-train to the end, from the last checkpoint if there is one."""
    return meta_train(Pretraining(config, resume=None))


def set_outer_loop(run: Pretraining, **meta: Any) -> None:
    """Give a meta-training other settings of its outer loop, those of ``MetaConfig``."""
    old = run.trainer
    config = replace(old.config, **meta)
    run.trainer = MetaTrainer(
        old.source, config, old.sample_learner, old.images, old.labels, old.augment
    )


def headline_lesson(asked: Options) -> Lesson:
    """Return the lesson of the headline's teacher, meta-trained if there is no artefact yet."""
    config = asked.config("mnist-headline")
    path = config.out
    assert isinstance(path, Path)  # noqa: S101  (set above)
    if not path.exists():
        meta_trained(config).finish()
    teacher, _ = load_teacher(path)
    with torch.no_grad():
        return teacher.lesson()


@dataclass(frozen=True)
class FixedLearner:
    """One architecture, with fresh weights from each seed."""

    space: SearchSpace
    architecture: Architecture
    dataset: ImageDataset

    def __call__(self, seed: int) -> nn.Module:
        """Build the network."""
        torch.manual_seed(seed)
        shape, classes = self.dataset.image_shape, self.dataset.num_classes
        return self.space.build(self.architecture, shape, classes, "proxy")


def paper_learner(dataset: ImageDataset) -> FixedLearner:
    """Return the paper's learner with 32 and 64 channels."""
    space = TwoConvs()
    return FixedLearner(space, space.architecture({"width_1": 32, "width_2": 64}), dataset)


def accuracies(
    lesson_for: LessonFor,
    learner: SampleLearner,
    dataset: ImageDataset,
    split: SplitName,
    count: int,
    purpose: str = "measure",
) -> list[float]:
    """Return the accuracy (0-1) of so many fresh learners; ``purpose`` decides which."""
    seeds = [derived_seed("mnist", purpose, i) for i in range(count)]
    return lesson_accuracies(lesson_for, learner, dataset, getattr(dataset, split), seeds)


class RealSteps:
    """Lessons of real batches.

    Args:
        dataset: whose training images they are of.
        batch_size: images in a batch.
    """

    def __init__(self, dataset: ImageDataset, batch_size: int) -> None:
        self.dataset, self.batch_size = dataset, batch_size
        self.images = dataset.normalise(dataset.train.images)

    def lessons(self, steps: int, rate: float, momentum: float) -> LessonFor:
        """Return lessons whose rate falls from ``rate`` by half a cosine."""
        rates = rate * cosine(steps)
        momenta = torch.full((steps,), momentum)

        def lesson_for(seed: int) -> Lesson:
            rng = torch.Generator().manual_seed(seed)
            labels = self.dataset.train.labels
            return real_lesson(self.images, labels, self.batch_size, rates, momenta, rng)

        return lesson_for

    def tuned(
        self,
        steps: int,
        learner: SampleLearner,
        count: int,
        momenta: Sequence[float] = MOMENTA,
    ) -> tuple[float, float]:
        """Return the rate and momentum that suit ``count`` other learners best, by validation."""

        def score(choice: tuple[float, float]) -> float:
            lessons = self.lessons(steps, *choice)
            return float(
                np.mean(accuracies(lessons, learner, self.dataset, "validation", count, "tune"))
            )

        return max(product(RATES, momenta), key=score)


def fixed(lesson: Lesson) -> LessonFor:
    """Return what gives the same lesson to every learner."""
    return lambda seed: lesson


def summary(values: Sequence[float]) -> str:
    """Return mean, standard deviation and worst, in per cent."""
    array = np.array(values)
    spread = array.std(ddof=1) if len(array) > 1 else 0.0
    return f"{array.mean():.2%} (sd {spread:.2%}, worst {array.min():.2%})"
