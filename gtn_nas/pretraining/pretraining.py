"""Makes a teacher: combines the data set, the search space and the meta-training."""

from __future__ import annotations

import platform
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import torch

from gtn_nas.config.pretrain import PretrainConfig
from gtn_nas.data import load_dataset
from gtn_nas.data.base import PROXY_SIDE
from gtn_nas.errors import ResourceError
from gtn_nas.pretraining.calibration import (
    EXAMINED_IMAGES,
    HELD_OUT,
    Examiner,
    calibrate,
)
from gtn_nas.pretraining.checkpoint import Checkpoint, Unfinished, settings_kept
from gtn_nas.pretraining.estimate import Estimate, estimate
from gtn_nas.pretraining.memory import keep_freed_memory
from gtn_nas.pretraining.progress import Progress
from gtn_nas.pretraining.ranking_goal import RankingGoal, load_labels
from gtn_nas.pretraining.remote_gradients import GradientFactory, RemoteGradient, exchange_by
from gtn_nas.pretraining.start import start_anew, start_from
from gtn_nas.pretraining.trainer_factory import (
    AUGMENT_BELOW,
    TrainerFactory,
    meta_config,
    teacher_sizes,
)
from gtn_nas.spaces import get_space
from gtn_nas.spaces.fingerprint import code_fingerprint, space_fingerprint
from gtn_nas.storage.files import Place, place_of
from gtn_nas.teacher.artifact import (
    TeacherHeader,
    round_to_16_bits,
    save_step_sizes,
    save_teacher,
)
from gtn_nas.teacher.curriculum import Teacher
from gtn_nas.teacher.inner_loop import Lesson

HELD_OUT_EVERY = 50
HELD_OUT_LEARNERS = 5
CHECKPOINT_EVERY = 25
CODE = (
    "gtn_nas.data.augmentation",
    "gtn_nas.data.base",
    "gtn_nas.data.splits",
    "gtn_nas.pretraining.start",
    "gtn_nas.pretraining.trainer_factory",
)
"""Modules that decide what a teacher learns, with those that they import."""


class Pretraining:
    """One meta-training, which can be interrupted at any moment and resumed.

    Args:
        config: settings of the meta-training.
        resume: whether to continue from the checkpoint; ``None`` to do so if there is one.

    Raises:
        ConfigError: the data set does not allow a setting.
        TeacherError: with ``resume``, there is no checkpoint or it belongs to another
            meta-training. Without it, there is a checkpoint or a finished teacher already.

    Example:
        A teacher of two tiny batches, which is too little to learn from:

        >>> from gtn_nas import PretrainConfig, Pretraining
        >>> sizes = {"inner_steps": 2, "batch_size": 10, "hidden": 16, "channels": 8}
        >>> steps = {"warm_start_steps": 5, "meta_iterations": 2}
        >>> pretraining = Pretraining(PretrainConfig(**sizes, **steps, out="mine.safetensors"))
        >>> for progress in pretraining.run():
        ...     last = progress
        >>> last.stage, last.done, last.total
        ('meta-training', 2, 2)
        >>> place, accuracy = pretraining.finish(learners=1)
        >>> place.name
        'mine.safetensors'
    """

    def __init__(self, config: PretrainConfig, *, resume: bool | None = False) -> None:
        keep_freed_memory()
        self.config = config
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.dataset = load_dataset(
            config.dataset,
            data_dir=config.data_dir,
            split_seed=config.split_seed,
            image_size=config.image_size,
        ).at_most(PROXY_SIDE)
        self.sizes = teacher_sizes(config, self.dataset)
        self.space = get_space(config.space)
        data = config.dataset.replace(":", "_").replace("/", "_")
        self.out = place_of(config.out or f"{data}-{self.space.name}.safetensors")
        beside = _with_ending(self.out, ".checkpoint")
        self.checkpoint = Checkpoint(config.checkpoint or str(beside))
        self.goal = self._ranking_goal()
        self.factory = TrainerFactory(
            self.sizes,
            config.curriculum == "real_data",
            self._augments(),
            meta_config(config),
            self.space,
            self.dataset.mean,
            self.dataset.std,
            None if self.goal is None else self.goal.labels.part(held_out=False),
        )
        train = self.dataset.train
        self.trainer = self.factory.trainer(
            train.images.to(self.device), train.labels.to(self.device)
        )
        self.unfinished = Unfinished(self.checkpoint, self.out, self._identity())
        state = self.unfinished.load(self.device, resume)
        if state is not None:
            best = state.pop("best")
            if self.goal is not None:
                self.goal.load_state_dict(best)
            self.trainer.load_state_dict(state)
        if config.start is not None and self.trainer.iteration == 0:
            start_from(config.start, self.trainer, self.sizes, self.dataset)

    def estimate(self) -> Estimate:
        """Estimate the time and memory of the whole meta-training.

        Raises:
            ResourceError: there is not enough free memory, or it takes longer than ``max_hours``.
        """
        config = self.config
        found = estimate(self.trainer, config.workers or 1)
        if config.max_hours is not None and found.train_s > config.max_hours * 3600:
            raise ResourceError(
                f"this meta-training needs {found}, more than --max-hours {config.max_hours:g}; "
                "lower --meta-iterations, --batch-size or --image-size, or use more --workers"
            )
        return found

    def run(self) -> Iterator[Progress]:
        """Take the remaining steps; save a checkpoint every ``CHECKPOINT_EVERY`` outer steps."""
        if self.trainer.iteration == 0 and self.config.start is None:
            yield from start_anew(
                self.trainer, self.sizes, self.examiner, self.config.warm_start_steps
            )
        with self._workers():
            yield from self._meta_train()

    @contextmanager
    def _workers(self) -> Iterator[None]:
        """Let Ray workers compute the meta-gradients, if the configuration asks for workers."""
        config, train = self.config, self.dataset.train
        if config.workers is None:
            yield
            return
        from gtn_nas.executors import RayMap, connect

        arrays = {"images": train.images.numpy(), "labels": train.labels.numpy()}
        with (
            connect(config.address),
            RayMap[RemoteGradient](
                GradientFactory(self.factory),
                arrays,
                workers=config.workers,
                cpus_per_worker=config.cpus_per_worker,
                gpus_per_worker=config.gpus_per_worker,
            ) as workers,
        ):
            self.trainer.exchange = exchange_by(self.trainer, workers)
            yield

    def _meta_train(self) -> Iterator[Progress]:
        """Take the remaining outer steps."""
        total, accuracy, correlation = self.config.meta_iterations, None, None
        losses: deque[float] = deque(maxlen=CHECKPOINT_EVERY)
        for step in self.trainer.run():
            losses.append(step.meta_loss)
            if step.iteration % HELD_OUT_EVERY == 0:
                accuracy = self.held_out_accuracy(HELD_OUT_LEARNERS)
                if self.goal is not None:
                    correlation = self.goal.examine(self.lesson(0), self.trainer.source)
            if step.iteration % CHECKPOINT_EVERY == 0:
                best = None if self.goal is None else self.goal.state_dict()
                self.unfinished.save({"best": best, **self.trainer.state_dict()})
            mean_loss = sum(losses) / len(losses)
            done = step.iteration
            yield Progress("meta-training", done, total, mean_loss, accuracy, correlation)

    def held_out_accuracy(self, learners: int) -> float:
        """Return the mean validation accuracy (0-1) of held-out learners after the lesson."""
        return self.examiner.accuracy(self.lesson, HELD_OUT, learners)

    @torch.no_grad()
    def lesson(self, seed: int) -> Lesson:
        """Return the current lesson; the seed draws random orders, fresh noise or real batches."""
        return self.trainer.source.lesson(torch.Generator().manual_seed(seed))

    def finish(self, learners: int = 20) -> tuple[Place, float]:
        """Round to 16 bits, calibrate, measure, write the teacher's file, remove the checkpoint.

        A teacher that learned to rank is not calibrated. For the control, a YAML file with settings
        of the proxy ``real_steps`` is written instead of a teacher.

        Args:
            learners: number of held-out learners to measure with. Calibration uses twice as many
                other learners.

        Returns:
            The path of the written file, and the mean validation accuracy (0-1) of held-out
            learners.
        """
        teacher = self.trainer.source
        if self.goal is not None and self.goal.best is not None:
            teacher.load_state_dict(self.goal.best.teacher)
        round_to_16_bits(teacher)
        scale = 1.0
        if self.goal is None:
            scale = calibrate(teacher.step_sizes, self.lesson, self.examiner, 2 * learners)
        accuracy = self.held_out_accuracy(learners)
        path = self.out
        if isinstance(teacher, Teacher):
            save_teacher(teacher, self._header(teacher, accuracy, scale), path)
        else:
            path = _with_ending(path, ".yaml")
            save_step_sizes(teacher, path)
        self.checkpoint.remove()
        return path, accuracy

    @property
    def examiner(self) -> Examiner:
        """Teaches and scores fresh learners of this meta-training's search space."""
        return Examiner(self.space, self.dataset, self.device, self.config.seed)

    def _ranking_goal(self) -> RankingGoal | None:
        """Read the candidates that the teacher learns to rank, if the configuration names any."""
        config, data = self.config, self.dataset
        if config.rank_labels is None:
            return None
        labels = load_labels(config.rank_labels, config.rank_column, self.space)
        return RankingGoal(labels, self.space, data, data.validation.first(EXAMINED_IMAGES))

    def _identity(self) -> dict[str, object]:
        """Return all that must be equal for this meta-training to be continued."""
        return {
            "settings": settings_kept(self.config),
            "learners of a step": self.trainer.config.learners_per_step,
            "data": self.dataset.fingerprint,
            "search space": space_fingerprint(self.space),
            "meta-training code": code_fingerprint(CODE),
            "labels": None if self.goal is None else self.goal.labels.fingerprint,
        }

    def _augments(self) -> bool:
        """Tell whether to distort half of the real images of a meta-loss."""
        few = len(self.dataset.train) < AUGMENT_BELOW
        return few if self.config.augment is None else self.config.augment

    def _header(self, teacher: Teacher, accuracy: float, calibration: float) -> TeacherHeader:
        dataset, config = self.dataset, self.config
        start = None if config.start is None else config.start.name
        return TeacherHeader(
            dataset=config.dataset,
            fingerprint=dataset.fingerprint,
            split_seed=dataset.split_seed,
            classes=dataset.classes,
            mean=dataset.mean,
            std=dataset.std,
            image_shape=dataset.image_shape,
            space=config.space,
            inner_steps=teacher.config.inner_steps,
            batch_size=teacher.config.batch_size,
            generator={n: getattr(teacher.config, n) for n in ("noise_dim", "hidden", "channels")},
            soft_labels=config.soft_labels,
            curriculum=teacher.config.curriculum,
            meta_training=asdict(self.trainer.config)
            | {"calibration": calibration, "start": start},
            seed=config.seed,
            versions={"torch": str(torch.__version__), "python": platform.python_version()},
            validation_accuracy=accuracy,
            ranking=None if self.goal is None else self.goal.measured(self.lesson(0)),
        )


def _with_ending(path: Place, ending: str) -> Place:
    """Return the path with its ending replaced."""
    return path.parent / f"{path.name.rpartition('.')[0] or path.name}{ending}"
