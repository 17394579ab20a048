"""Makes equal meta-trainers in the main process and in every worker."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gtn_nas.config.pretrain import PretrainConfig
from gtn_nas.data.augmentation import augmentation_for
from gtn_nas.data.base import ImageDataset, normalise
from gtn_nas.errors import ConfigError
from gtn_nas.pretraining.learners import LearnerSampler
from gtn_nas.pretraining.ranking_goal import LabelledSampler, RankingLabels
from gtn_nas.spaces.base import SearchSpace
from gtn_nas.teacher.curriculum import RealData, Teacher, TeacherConfig
from gtn_nas.teacher.meta_config import MetaConfig
from gtn_nas.teacher.meta_gradient import SampleLearner
from gtn_nas.teacher.meta_training import (
    LEAST_RANKED,
    MetaTrainer,
)
from gtn_nas.trial import derived_seed

CONTINUED_SCALE = 1 / 3
"""Factor of the outer learning rates of a teacher that continues from an earlier one. At the full
rates it lost a third of its progress within fifty steps."""
AUGMENT_BELOW = 20_000
"""With fewer training images than this, half of the real images are distorted by default."""


def meta_config(config: PretrainConfig) -> MetaConfig:
    """Return the settings of the outer loop for a configuration.

    Raises:
        ConfigError: learners are to be ranked, but there is only one in each outer step.
    """
    ranks = config.rank_labels is not None
    learners = config.learners_per_step or max(config.workers or 1, 1 + ranks)
    if ranks and config.rank_weight and learners < LEAST_RANKED:
        raise ConfigError(
            f"--rank-labels compares the learners of a step; give it {LEAST_RANKED} or more "
            "--learners-per-step"
        )
    return MetaConfig(
        iterations=config.meta_iterations,
        learners_per_step=learners,
        real_batch_size=config.real_images,
        ranking_weight=config.rank_weight if ranks else 0.0,
        ranking_sharpness=config.rank_sharpness,
        learning_rate=config.learning_rate,
        window=config.window or max(1, config.inner_steps // 2),
        # A teacher that continues in order to learn a ranking still has much to learn.
        rate_scale=1.0 if config.start is None or ranks else CONTINUED_SCALE,
        seed=config.seed,
    )


def teacher_sizes(config: PretrainConfig, dataset: ImageDataset) -> TeacherConfig:
    """Return the sizes of a teacher; sizes that are not set depend on the data set.

    Raises:
        ConfigError: a batch has fewer images than there are classes.
    """
    classes, side = dataset.num_classes, max(dataset.image_shape[1:])
    batch_size = config.batch_size or (128 if classes <= 64 else 2 * classes)
    if batch_size < classes:
        raise ConfigError(
            f"--batch-size {batch_size} is smaller than the {classes} classes of "
            f"{config.dataset}; every batch shows each"
        )
    return TeacherConfig(
        image_shape=dataset.image_shape,
        num_classes=classes,
        inner_steps=config.inner_steps,
        batch_size=batch_size,
        noise_dim=config.noise_dim,
        hidden=config.hidden,
        channels=config.channels or (64 if side <= 32 else 32),
        soft_labels=config.soft_labels,
        # The control has no curriculum, and ignores this value.
        curriculum="full" if config.curriculum == "real_data" else config.curriculum,
    )


@dataclass(frozen=True)
class TrainerFactory:
    """Makes a meta-trainer from training images, in the main process or in a worker.

    Attributes:
        sizes: sizes of the teacher, or of the control's lesson.
        real_data: whether to train the control ``RealData``, which learns step sizes only.
        augment: whether half of the real images are distorted.
        meta: settings of the outer loop.
        space: search space from which learners are sampled.
        mean: per-channel mean of the images, scaled to 0-1.
        std: per-channel standard deviation of the images, scaled to 0-1.
        ranking_labels: candidates that the teacher learns to rank. If given, they are the learners.
    """

    sizes: TeacherConfig
    real_data: bool
    augment: bool
    meta: MetaConfig
    space: SearchSpace
    mean: tuple[float, ...]
    std: tuple[float, ...]
    ranking_labels: RankingLabels | None = None

    def trainer(self, images: Tensor, labels: Tensor) -> MetaTrainer:
        """Return a trainer before its first step.

        Args:
            images: ``(N, C, H, W)`` uint8 training images, on the device to train on.
            labels: ``(N,)`` class indices.
        """
        sizes, device = self.sizes, images.device
        images = normalise(images, self.mean, self.std)
        torch.manual_seed(derived_seed(self.meta.seed, "teacher"))
        source: Teacher | RealData
        if self.real_data:
            source = RealData(images, labels, sizes.inner_steps, sizes.batch_size)
        else:
            source = Teacher(sizes)
        shape, classes = sizes.image_shape, sizes.num_classes
        sampler: SampleLearner = LearnerSampler(self.space, shape, classes, device)
        if self.ranking_labels is not None:
            sampler = LabelledSampler(self.ranking_labels, self.space, shape, classes, device)
        return MetaTrainer(
            source.to(device),
            self.meta,
            sampler,
            images,
            labels,
            augmentation_for(shape[0], strength=0.5) if self.augment else None,
            None if self.ranking_labels is None else self.ranking_labels.truth,
        )
