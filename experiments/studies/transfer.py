"""Does a teacher work for architectures that it was not meta-trained with?

There are four families of learners: the paper's two convolutions, ``conv_chain`` networks with a
flattened head, ``conv_chain`` networks with global pooling, and multilayer perceptrons. Teachers
are meta-trained on the paper's family alone, on all four families, and on all but one. Each teacher
then teaches held-out learners of every family. For comparison, learners take as many steps on real
batches, with a learning rate and momentum tuned for each family.

Run with ``python -m experiments.studies.transfer --data-dir DIR [--budget small|full]``; it can be
interrupted and started again.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch

from experiments.shared.learner_families import FAMILIES
from experiments.shared.machine import machine
from experiments.shared.mnist import (
    LessonFor,
    RealSteps,
    SampleLearner,
    accuracies,
    meta_trained,
    options,
)
from experiments.shared.tables import Table, markdown
from gtn_nas.data.base import ImageDataset
from gtn_nas.pretraining.learners import LearnerSampler

LEARNERS, TUNING = 10, 4
LessonsOfFamilies = Mapping[str, LessonFor]
TEACHERS: Mapping[str, str] = MappingProxyType(
    {
        "two convolutions only": "TwoConvs",
        "all families": "Mixture",
        "all but two convolutions": "WithoutTwoConvs",
        "all but flattened chains": "WithoutFlattenChains",
        "all but pooled chains": "WithoutPooledChains",
        "all but perceptrons": "WithoutPerceptrons",
    }
)


def learners(dataset: ImageDataset) -> dict[str, SampleLearner]:
    """Return, by family, a sampler of learners with held-out architectures."""
    shape, classes, device = dataset.image_shape, dataset.num_classes, torch.device("cpu")
    return {
        name: LearnerSampler(family, shape, classes, device, held_out=True)
        for name, family in FAMILIES.items()
    }


def measure(
    table: Table, identity: Mapping[str, str], dataset: ImageDataset, lessons: LessonsOfFamilies
) -> None:
    """Teach learners of every family, and add the accuracies that are not in the table yet.

    Args:
        table: where to add the rows.
        identity: the columns that name the arm.
        dataset: the data set.
        lessons: the lessons of the arm, by family.
    """
    for family, learner in learners(dataset).items():
        found = accuracies(lessons[family], learner, dataset, "test", LEARNERS)
        for seed, accuracy in enumerate(found):
            row = {**identity, "family": family, "learner": seed}
            if not table.has(**row):
                table.add(row | {"test_accuracy": accuracy})


def main() -> None:
    """Meta-train and measure the arms that are not in the table yet, then print the table."""
    asked = options(__doc__)
    dataset, table = asked.dataset(), Table("transfer")
    last = list(FAMILIES)[-1]
    for arm, space in TEACHERS.items():
        if table.has(budget=asked.budget, arm=arm, family=last, learner=LEARNERS - 1):
            continue
        name = f"experiments.shared.learner_families:{space}"
        run = meta_trained(asked.config(f"transfer-{space}", space=name))
        run.finish()
        identity = {"budget": asked.budget, "arm": arm}
        measure(table, identity, dataset, dict.fromkeys(FAMILIES, run.lesson))
    arm, config = "real batches, tuned", asked.config("transfer")
    if not table.has(budget=asked.budget, arm=arm, family=last, learner=LEARNERS - 1):
        real = RealSteps(dataset, config.batch_size or 128)
        lessons = {}
        for family, learner in learners(dataset).items():
            choice = real.tuned(config.inner_steps, learner, TUNING)
            lessons[family] = real.lessons(config.inner_steps, *choice)
        measure(table, {"budget": asked.budget, "arm": arm}, dataset, lessons)
    print(f"{machine()}, budget {asked.budget}")
    print(markdown(["teacher", *FAMILIES], rows(table, asked.budget)))


def rows(table: Table, budget: str) -> list[list[object]]:
    """Return one line for each arm: the mean and worst accuracy of each family."""
    lines: list[list[object]] = []
    for arm in (*TEACHERS, "real batches, tuned"):
        line: list[object] = [arm]
        for family in FAMILIES:
            own = table.where(budget=budget, arm=arm, family=family)
            found = [float(row["test_accuracy"]) for row in own]
            line.append(f"{sum(found) / len(found):.1%} (worst {min(found):.1%})")
        lines.append(line)
    return lines


if __name__ == "__main__":
    main()
