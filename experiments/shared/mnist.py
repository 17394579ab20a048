"""Code that the MNIST experiments share: two budgets, resumable meta-training, accuracies.

The budget ``small`` tries an experiment on two cores in minutes, with images of 14 x 14 pixels,
shorter lessons and fewer outer steps; the claims are about the budget ``full``. Every meta-training
writes a checkpoint under ``checkpoints/``, and continues from it when its experiment is started
again.
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
    """The command-line options of every MNIST experiment.

    Attributes:
        data_dir: the folder of MNIST.
        budget: ``small`` or ``full``.
    """

    data_dir: Path
    budget: Budget

    def config(self, name: str, **values: Any) -> PretrainConfig:
        """Return the configuration of an arm's meta-training, with the sizes of the budget.

        Args:
            name: name of its artefact; other characters than letters, digits, ``-`` and ``_``
                become ``_``.
            values: further settings, which override those of the budget.
        """
        # With this family, meta-training is stable at larger outer steps and longer windows
        # than with ``conv_chain``.
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
        """Load MNIST at the image size of the budget."""
        size = 14 if self.budget == "small" else None
        return load_dataset("mnist", data_dir=self.data_dir, image_size=size)


def options(description: str | None) -> Options:
    """Read the command line, and set torch to one thread, so that arms can run side by side."""
    parser = with_data_dir(description)
    parser.add_argument("--budget", choices=get_args(Budget), default="small")
    given = parser.parse_args()
    torch.set_num_threads(1)
    return Options(given.data_dir, given.budget)


def meta_train(run: Pretraining) -> Pretraining:
    """Take the remaining outer steps, and print every hundredth."""
    for progress in run.run():
        if progress.stage == "meta-training" and progress.done % 100 == 0:
            print(f"{run.out}: {progress}", flush=True)
    return run


def meta_trained(config: PretrainConfig) -> Pretraining:
    """Meta-train to the end, from the checkpoint if there is one."""
    return meta_train(Pretraining(config, resume=None))


def set_outer_loop(run: Pretraining, **meta: Any) -> None:
    """Change settings of a meta-training's outer loop.

    Args:
        run: the meta-training, which must not have begun its outer steps.
        meta: the new values, by the field names of ``MetaConfig``.
    """
    old = run.trainer
    config = replace(old.config, **meta)
    run.trainer = MetaTrainer(
        old.source, config, old.sample_learner, old.images, old.labels, old.augment
    )


def headline_lesson(asked: Options) -> Lesson:
    """Return the lesson of ``mnist_headline``'s teacher, which is meta-trained if it is missing."""
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
    """Makes learners of one architecture, with initial weights from a seed."""

    space: SearchSpace
    architecture: Architecture
    dataset: ImageDataset

    def __call__(self, seed: int) -> nn.Module:
        """Build the network with the weights of a seed."""
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
    """Return the accuracies (0-1) of newly initialised learners.

    Args:
        lesson_for: returns the lesson of a learner, by its seed.
        learner: makes a learner from a seed.
        dataset: the data set.
        split: the split that the learners are scored on.
        count: number of learners.
        purpose: determines the seeds; another purpose gives other learners.
    """
    seeds = [derived_seed("mnist", purpose, i) for i in range(count)]
    return lesson_accuracies(lesson_for, learner, dataset, getattr(dataset, split), seeds)


class RealSteps:
    """Makes lessons of real batches.

    Args:
        dataset: the data set whose training images are used.
        batch_size: images in a batch.
    """

    def __init__(self, dataset: ImageDataset, batch_size: int) -> None:
        self.dataset, self.batch_size = dataset, batch_size
        self.images = dataset.normalise(dataset.train.images)

    def lessons(self, steps: int, rate: float, momentum: float) -> LessonFor:
        """Return lessons with a constant momentum, whose rate falls from ``rate`` by half a cosine.

        Args:
            steps: batches in a lesson.
            rate: learning rate of the first step.
            momentum: momentum of every step.
        """
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
        """Return the rate and momentum of the best mean validation accuracy.

        They are chosen on ``count`` other learners than those that measure.

        Args:
            steps: batches in a lesson.
            learner: makes a learner from a seed.
            count: number of learners.
            momenta: the momenta to try.
        """

        def score(choice: tuple[float, float]) -> float:
            lessons = self.lessons(steps, *choice)
            return float(
                np.mean(accuracies(lessons, learner, self.dataset, "validation", count, "tune"))
            )

        return max(product(RATES, momenta), key=score)


def fixed(lesson: Lesson) -> LessonFor:
    """Return a function that gives the same lesson to every learner."""
    return lambda seed: lesson


def summary(values: Sequence[float]) -> str:
    """Return the mean, standard deviation and minimum of accuracies as text, in per cent."""
    array = np.array(values)
    spread = array.std(ddof=1) if len(array) > 1 else 0.0
    return f"{array.mean():.2%} (sd {spread:.2%}, worst {array.min():.2%})"
