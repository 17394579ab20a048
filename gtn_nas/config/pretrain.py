"""The configuration of a meta-training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from gtn_nas.config.base import PositiveFloat, PositiveInt, UriOrPath
from gtn_nas.config.data import DataConfig

Curriculum = Literal["full", "shuffled_batch", "all_shuffled", "none", "fixed_noise", "pixels"]
"""What of a lesson is learned beside the generator (Such et al. 2019, section 3.2).

``full``: noise of every image, in a fixed order. ``shuffled_batch``: the same, its batches in
random order. ``all_shuffled``: a pool of noise that batches are drawn from. ``none``: nothing;
noise is fresh. Two controls: ``fixed_noise`` is ``full`` with noise that stays as it was drawn, and
``pixels`` learns the images themselves, without a generator (Wang et al. 2018, arXiv 1811.10959).
"""


class PretrainConfig(DataConfig):
    """One meta-training; what is not named here has one good value in ``MetaConfig``.

    Attributes:
        inner_steps: batches in the lesson (T).
        batch_size: images in a synthetic batch (B); by default 128, or twice the classes if those
            are more than 64.
        meta_iterations: outer steps.
        curriculum: ``full``, ``shuffled_batch``, ``all_shuffled`` or ``none`` for a teacher;
            ``fixed_noise``, ``pixels`` or ``real_data`` for a control, the last of which learns
            only the learners' step sizes.
        learners_per_step: learners whose meta-gradients are averaged; by default one for each
            worker.
        learning_rate: outer learning rate of the generator.
        real_images: real images that a learner is judged by in an outer step.
        window: inner steps that are differentiated, placed at random; by default half of them.
        hidden: units of the generator's first layer.
        channels: channels of the generator's smallest feature map; by default 64, and 32 for
            images of more than 32 pixels.
        noise_dim: length of a noise vector.
        soft_labels: learn the labels' probabilities too.
        augment: distort half of the real images of a meta-loss; by default only where there are so
            few training images that a teacher could learn them by heart.
        start: a teacher of equal sizes to go on from, instead of the warm start; all outer rates
            are then a third, unless it is to learn a ranking.
        warm_start_steps: steps in which the generator learns to draw real training images before
            it learns to teach.
        rank_labels: a run's folder; learners are then its candidates, and the teacher learns to
            leave them in the order of ``rank_column`` too. Windows are then the lesson's end.
        rank_column: column of the run that counts as truth.
        rank_weight: of the ranking term beside the mean loss.
        rank_sharpness: factor of a difference of losses in it: pairs that differ by less than its
            inverse count alike, beyond that only those in the wrong order do.
        workers: Ray workers that share the learners of a step; by default none, and this process
            takes them one by one.
        cpus_per_worker: CPUs, and so threads, of one worker.
        gpus_per_worker: GPUs of one worker; fractions share one.
        address: Ray cluster to join; by default ``RAY_ADDRESS``, else a private local one.
        max_hours: refuse to start what is estimated to take longer.
        checkpoint: where the unfinished teacher is kept: a path or a URI of an object store; by
            default beside ``out``.
        out: the artefact's path or URI.

    Example:
        >>> from gtn_nas import PretrainConfig
        >>> config = PretrainConfig(dataset="folder:photos", meta_iterations=500)
        >>> config.inner_steps, config.curriculum
        (32, 'full')
    """

    inner_steps: PositiveInt = 32
    batch_size: PositiveInt | None = None
    meta_iterations: PositiveInt = 1000
    curriculum: Literal[
        "full", "shuffled_batch", "all_shuffled", "none", "fixed_noise", "pixels", "real_data"
    ] = "full"
    learners_per_step: PositiveInt | None = None
    learning_rate: PositiveFloat = 0.001
    real_images: PositiveInt = 2048
    window: PositiveInt | None = None
    hidden: PositiveInt = 256
    channels: PositiveInt | None = None
    noise_dim: PositiveInt = 64
    soft_labels: bool = True
    augment: bool | None = None
    start: Path | None = None
    warm_start_steps: Annotated[int, Field(ge=0)] = 800
    rank_labels: Path | None = None
    rank_column: str = "real_loss"
    rank_weight: Annotated[float, Field(ge=0)] = 0.5
    rank_sharpness: PositiveFloat = 40.0
    workers: PositiveInt | None = None
    cpus_per_worker: PositiveFloat = 1.0
    gpus_per_worker: Annotated[float, Field(ge=0)] = 0.0
    address: str | None = None
    max_hours: PositiveFloat | None = None
    checkpoint: str | None = None
    out: UriOrPath | None = None
