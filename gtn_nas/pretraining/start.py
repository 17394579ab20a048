"""Where a meta-training starts: at a new teacher with rates that suit it, or at an earlier one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gtn_nas.data.base import ImageDataset
from gtn_nas.errors import TeacherError
from gtn_nas.pretraining.calibration import Examiner, try_start_rates
from gtn_nas.pretraining.progress import Progress
from gtn_nas.teacher.artifact import load_teacher
from gtn_nas.teacher.curriculum import RealData, Teacher, TeacherConfig
from gtn_nas.teacher.meta_training import MetaTrainer
from gtn_nas.teacher.warm_start import warm_start
from gtn_nas.trial import derived_seed

START_RATES = (3.2, 1.6, 0.8, 0.4, 0.2, 0.1, 0.05, 0.025)
"""Start learning rates that are tried with real batches, to find the best one."""
START_SHARE = 0.5
"""Share of the best rate from which meta-training starts. The full rate is too near to those at
which some learners diverge."""


def start_anew(
    trainer: MetaTrainer, sizes: TeacherConfig, examiner: Examiner, steps: int
) -> Iterator[Progress]:
    """Choose the start rate of a new teacher, then let its generator draw training images.

    Args:
        trainer: the trainer before its first step.
        sizes: sizes of the lesson.
        examiner: teaches and scores the learners that rates are tried on.
        steps: steps of the warm start.

    Yields:
        The progress after each rate and after each step of the warm start.
    """
    yield from _choose_start_rate(trainer, sizes, examiner)
    yield from _warm_start(trainer, steps)


def start_from(path: Path, trainer: MetaTrainer, sizes: TeacherConfig, data: ImageDataset) -> None:
    """Continue from the weights of a teacher that was meta-trained before.

    Args:
        path: file of that teacher.
        trainer: the trainer before its first step.
        sizes: sizes that the teacher must have.
        data: the images and the split that it must have been made from.

    Raises:
        TeacherError: the file is not a teacher's, or the teacher has other sizes, or was made
            from other images or another split.
    """
    teacher, header = load_teacher(path)
    if (header.fingerprint, header.split_seed) != (data.fingerprint, data.split_seed):
        raise TeacherError(f"{path} was made of other images or another split; start afresh")
    if teacher.config != sizes or not isinstance(trainer.source, Teacher):
        raise TeacherError(
            f"{path} has other sizes ({teacher.config}); give it the same options or start afresh"
        )
    trainer.source.load_state_dict(teacher.state_dict())


def _choose_start_rate(
    trainer: MetaTrainer, sizes: TeacherConfig, examiner: Examiner
) -> Iterator[Progress]:
    """Set the learned rates to a share of the start rate at which real batches teach best."""
    control = RealData(trainer.images, trainer.labels, sizes.inner_steps, sizes.batch_size)
    accuracies: dict[float, float] = {}
    for rate, accuracy in try_start_rates(START_RATES, control, examiner):
        accuracies[rate] = accuracy
        yield Progress("learning rates", len(accuracies), len(START_RATES), 1 - accuracy)
    best = max(accuracies, key=accuracies.__getitem__)
    trainer.source.step_sizes.start_at(best * START_SHARE)


def _warm_start(trainer: MetaTrainer, steps: int) -> Iterator[Progress]:
    """Let the generator draw training images before it learns to teach."""
    teacher = trainer.source
    if not isinstance(teacher, Teacher):
        return
    seed = derived_seed(trainer.config.seed, "warm start")
    losses = warm_start(teacher, trainer.images, trainer.labels, trainer.augment, steps, seed)
    for step, loss in enumerate(losses, start=1):
        yield Progress("warm start", step, steps, loss)
