"""The configuration of a meta-training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from gtn_nas.config.base import Group, PositiveFloat, PositiveInt, UriOrPath, setting
from gtn_nas.config.workers import WorkersConfig

Curriculum = Literal["full", "shuffled_batch", "all_shuffled", "none", "fixed_noise", "pixels"]
"""Which part of a lesson is learned in addition to the generator; see the setting ``curriculum``.

The first four values are the curricula of Such et al. 2019 (arXiv 1912.07768), section 3.2.
``pixels`` is the method of Wang et al. 2018 (arXiv 1811.10959).
"""


class PretrainConfig(WorkersConfig):
    """Settings of one meta-training.

    Each is described on its field, and by ``gtn-nas pretrain --help``. ``MetaConfig`` holds
    further values, which users need not change.

    Example:
        >>> from gtn_nas import PretrainConfig
        >>> config = PretrainConfig(dataset="folder:photos", meta_iterations=500)
        >>> config.inner_steps, config.curriculum
        (32, 'full')
    """

    inner_steps: PositiveInt = setting(
        32, "Batches in the lesson, each of which is one step of a learner (T).", Group.LESSON
    )
    batch_size: PositiveInt | None = setting(
        None,
        "Images in a synthetic batch (B). By default 128, or twice the number of classes if there "
        "are more than 64.",
        Group.LESSON,
    )
    meta_iterations: PositiveInt = setting(
        1000, "Outer steps of the meta-training.", Group.META_TRAINING
    )
    curriculum: Literal[Curriculum, "real_data"] = setting(
        "full",
        "What is learned beside the generator. `full`: the noise of every image, which are shown "
        "in a fixed order. `shuffled_batch`: the same, with the batches in random order. "
        "`all_shuffled`: a pool of noise that batches are drawn from. `none`: nothing, the noise "
        "is always fresh. Three more are controls. `fixed_noise`: as `full`, but the noise stays "
        "as it was drawn. `pixels`: the images themselves, without a generator. `real_data`: only "
        "the step sizes of the learners, which learn from real images.",
        Group.LESSON,
    )
    learners_per_step: PositiveInt | None = setting(
        None,
        "Learners of an outer step, whose meta-gradients are averaged. By default one for each "
        "worker.",
        Group.META_TRAINING,
    )
    learning_rate: PositiveFloat = setting(
        0.001, "Outer learning rate of the generator.", Group.META_TRAINING
    )
    real_images: PositiveInt = setting(
        2048, "Real images that a learner is judged by in an outer step.", Group.META_TRAINING
    )
    window: PositiveInt | None = setting(
        None,
        "Successive inner steps that are differentiated; in each outer step they are placed at "
        "random. By default half of the lesson.",
        Group.META_TRAINING,
    )
    hidden: PositiveInt = setting(256, "Units of the generator's first layer.", Group.LESSON)
    channels: PositiveInt | None = setting(
        None,
        "Channels of the generator's smallest feature map. By default 64, or 32 for images that "
        "are more than 32 pixels high or wide.",
        Group.LESSON,
    )
    noise_dim: PositiveInt = setting(64, "Length of a noise vector.", Group.LESSON)
    soft_labels: bool = setting(
        True,
        "Learn the class probabilities of every image too, or keep its class fixed.",
        Group.LESSON,
        option="--soft-labels/--hard-labels",
    )
    augment: bool | None = setting(
        None,
        "Distort half of the real images that a learner is judged by. By default only where there "
        "are so few training images (below 20,000) that a teacher could learn them by heart.",
        Group.META_TRAINING,
    )
    start: Path | None = setting(
        None,
        "File of a teacher of equal sizes to go on from, instead of the warm start. All outer "
        "learning rates are then a third, unless it is to learn a ranking (`--rank-labels`).",
        Group.META_TRAINING,
    )
    warm_start_steps: Annotated[int, Field(ge=0)] = setting(
        800,
        "Steps in which the generator learns to draw real training images, before it learns to "
        "teach.",
        Group.META_TRAINING,
    )
    rank_labels: Path | None = setting(
        None,
        "Run folder whose candidates are the learners. The teacher then also learns to rank them "
        "as `--rank-column` does, and the inner steps that are differentiated are the last ones of "
        "the lesson.",
        Group.RANKING,
    )
    rank_column: str = setting(
        "real_loss", "Column of that run that counts as the truth.", Group.RANKING
    )
    rank_weight: Annotated[float, Field(ge=0)] = setting(
        0.5, "Weight of the ranking term beside the mean loss.", Group.RANKING
    )
    rank_sharpness: PositiveFloat = setting(
        40.0,
        "What the ranking term multiplies differences of losses with. Pairs that differ by less "
        "than one divided by it all count alike; of pairs that differ by more, only those in the "
        "wrong order count.",
        Group.RANKING,
    )
    workers: PositiveInt | None = setting(
        None,
        "Ray workers that share the learners of an outer step. By default none: this process "
        "takes the learners one by one, without Ray.",
        Group.WORKERS,
    )
    max_hours: PositiveFloat | None = setting(
        None,
        "Refuse to start a meta-training that is estimated to take longer. By default there "
        "is no limit.",
        Group.META_TRAINING,
    )
    checkpoint: str | None = setting(
        None,
        "Where the unfinished teacher is kept: a path, or a URI of an object store. By default "
        "beside `--out`.",
        Group.OUTPUT,
    )
    out: UriOrPath | None = setting(
        None,
        "File of the teacher: a path or a URI. By default `<dataset>-<space>.safetensors`.",
        Group.OUTPUT,
    )
