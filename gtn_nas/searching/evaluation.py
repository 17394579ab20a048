"""Everything that the scores of a run depend on, loaded and checked before the run starts."""

from __future__ import annotations

import hashlib
import json
import logging
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from gtn_nas.config.search import SearchConfig
from gtn_nas.data import load_dataset
from gtn_nas.data.base import PROXY_SIDE, ImageDataset
from gtn_nas.errors import NoTeacherError, TeacherError
from gtn_nas.proxies.base import ProxyData, ProxySettings
from gtn_nas.proxies.catalogue import (
    EVALUATED,
    LATENCY,
    PROXIES,
    Need,
    columns_of,
    known,
    needs_of,
    proxies_of,
)
from gtn_nas.proxies.evaluator import Evaluator, shared_arrays
from gtn_nas.ranking.columns import NUMERIC_COLUMNS
from gtn_nas.ranking.goals import Goals, named_columns
from gtn_nas.searching.default_ranking import decided_ranking
from gtn_nas.searching.identity import Identity, scoring_fingerprint
from gtn_nas.spaces import get_space
from gtn_nas.spaces.base import SearchSpace
from gtn_nas.spaces.fingerprint import space_fingerprint
from gtn_nas.teacher.artifact import (
    TeacherHeader,
    load_teacher,
    read_header,
    resolve_teacher,
    shipped_teachers,
    weights_fingerprint,
)
from gtn_nas.teacher.curriculum import Teacher
from gtn_nas.teacher.inner_loop import Lesson

log = logging.getLogger(__name__)

SCORED_IMAGES = 2000
"""Largest number of validation images that a proxy scores; the split's order is random."""

GOAL_COLUMNS = tuple(dict.fromkeys([*columns_of(PROXIES), *NUMERIC_COLUMNS]))
"""Columns that can be part of the score, an objective or a limit."""


@dataclass(frozen=True)
class Evaluation:
    """Everything that candidates are scored with, and the goals by which they are ranked.

    Attributes:
        config: the search's configuration, with open settings (``rank_by``, ``proxy_seeds``)
            decided.
        goals: score, objectives and limits of the search.
        wants_latency: whether latencies are to be measured, once all candidates are evaluated.
        space: the search space.
        dataset: real images of their native size, for full trainings.
        proxy_dataset: the same images, made no larger than a teacher's.
        lesson: the teacher's batches and step sizes; ``None`` if no proxy needs them.
        untrained: lesson of a teacher that was never meta-trained; ``None`` if no proxy needs it.
        proxies: names of the proxies that score candidates.
        settings: settings of these proxies.
        identity: everything that a score depends on, by name.
        teacher: header of the teacher's file; ``None`` if no proxy needs a teacher.
    """

    config: SearchConfig
    goals: Goals
    wants_latency: bool
    space: SearchSpace
    dataset: ImageDataset
    proxy_dataset: ImageDataset
    lesson: Lesson | None
    untrained: Lesson | None
    proxies: tuple[str, ...]
    settings: ProxySettings
    identity: Identity
    teacher: TeacherHeader | None = None

    @property
    def id(self) -> str:
        """Hash of the identity, 16 hex digits; scores are comparable only if it is equal."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def budget(self) -> int:
        """Training steps of a candidate that takes the whole lesson."""
        return self.settings.real_steps if self.lesson is None else self.lesson.steps

    @property
    def images(self) -> dict[str, object]:
        """Image shapes and class names, which a reader of the run needs to build its networks."""
        return {
            "image_shape": list(self.dataset.image_shape),
            "proxy_image_shape": list(self.proxy_dataset.image_shape),
            "classes": list(self.dataset.classes),
        }

    def factory(self) -> Evaluator:
        """Return the factory that makes the scoring function in each worker."""
        dataset = self.proxy_dataset
        return Evaluator(
            self.space, dataset.image_shape, dataset.num_classes, self.proxies, self.settings
        )

    def arrays(self) -> Mapping[str, np.ndarray]:
        """Return the arrays that all workers share: images, labels and lessons."""
        dataset = self.proxy_dataset
        scored = dataset.validation.first(SCORED_IMAGES)
        data = ProxyData(
            dataset.calibration_images(),
            dataset.calibration_labels(),
            dataset.normalise(scored.images),
            scored.labels,
        )
        training = None
        if Need.TRAINING_IMAGES in needs_of(self.proxies):
            training = dataset.train.images, dataset.train.labels
        return shared_arrays(data, self.lesson, self.untrained, training)


def prepare(config: SearchConfig) -> Evaluation:
    """Load data, search space and teacher, check that they fit, and decide the ranking.

    Raises:
        GtnNasError: a name is unknown, a file is missing or damaged, or the teacher does not fit.
    """
    named = named_columns(config.rank_by, config.objectives, config.limits, GOAL_COLUMNS)
    wanted = known([*config.proxies, *proxies_of(named)])
    space = get_space(config.space)
    native = load_dataset(
        config.dataset,
        data_dir=config.data_dir,
        split_seed=config.split_seed,
        image_size=config.image_size,
    )
    dataset = native.at_most(PROXY_SIDE)
    path = lesson = untrained = header = None
    needs = needs_of(wanted)
    if Need.LESSON in needs:
        path = (
            resolve_teacher(config.teacher) if config.teacher else _fitting(dataset, space, config)
        )
        teacher, header = load_teacher(path)
        _check_fits(path, header, dataset)
        lesson = _lesson(teacher)
        if Need.UNTRAINED_LESSON in needs:
            untrained = _lesson(_untrained(teacher))
    rank_by, seeds = decided_ranking(config, header, wanted)
    config = config.model_copy(update={"rank_by": rank_by, "proxy_seeds": seeds})
    goals = Goals.parse(rank_by, config.objectives, config.limits, GOAL_COLUMNS)
    wanted = known([*wanted, *proxies_of(goals.columns)])
    proxies = [name for name in EVALUATED if name in wanted]  # one order for equal identities
    settings = _settings(config, dataset)
    identity = _identity(proxies, settings, dataset, space)
    if path is not None:
        identity["teacher"] = weights_fingerprint(path)
    return Evaluation(
        config=config,
        goals=goals,
        wants_latency=LATENCY in wanted,
        space=space,
        dataset=native,
        proxy_dataset=dataset,
        lesson=lesson,
        untrained=untrained,
        proxies=tuple(proxies),
        settings=settings,
        identity=identity,
        teacher=header,
    )


def _settings(config: SearchConfig, dataset: ImageDataset) -> ProxySettings:
    return ProxySettings(
        config.proxy_seeds or 1,
        config.real_steps,
        real_batch_size=config.real_batch_size,
        real_learning_rate=config.real_learning_rate,
        real_momentum=config.real_momentum,
        zero_cost_scale=config.zero_cost_scale,
        mean=dataset.mean,
        std=dataset.std,
    )


def _identity(
    proxies: Sequence[str], settings: ProxySettings, dataset: ImageDataset, space: SearchSpace
) -> Identity:
    return {
        "proxies": ", ".join(proxies),
        "proxy settings": str(settings),
        "images for batch statistics": str(len(dataset.calibration_images())),
        "images that are scored": str(min(SCORED_IMAGES, len(dataset.validation))),
        "data": dataset.fingerprint,
        "split": str(dataset.split_seed),
        "search space": space_fingerprint(space),
        "scoring code": scoring_fingerprint(proxies),
    }


@torch.no_grad()
def _lesson(teacher: Teacher) -> Lesson:
    return teacher.lesson()


def _untrained(teacher: Teacher) -> Teacher:
    """Return a teacher of the same sizes and step sizes that was never meta-trained."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        fresh = Teacher(teacher.config)
    fresh.step_sizes.load_state_dict(teacher.step_sizes.state_dict())
    return fresh


def _fitting(dataset: ImageDataset, space: SearchSpace, config: SearchConfig) -> Path:
    """Choose a shipped teacher that fits this data set, preferably one of this search space."""
    headers = {path: read_header(path) for path in shipped_teachers().values()}
    fitting = [path for path, h in headers.items() if not _misfits(h, dataset)]
    if not fitting:
        raise NoTeacherError(
            f"no teacher that ships fits {dataset.name} (split seed {dataset.split_seed}); make "
            f"one with `{_pretrain_command(config)}` and name it with --teacher"
        )
    path = min(fitting, key=lambda p: headers[p].space != space.name)
    if headers[path].space != space.name:
        log.warning(
            "the teacher %s was trained with learners of %s, not of %s; its ranking may be worse",
            path.stem,
            headers[path].space,
            space.name,
        )
    return path


def _pretrain_command(config: SearchConfig) -> str:
    """Return the command that makes a teacher for the images and the split of a search."""
    command = ["gtn-nas", "pretrain", "--dataset", config.dataset, "--space", config.space]
    for name in ("data_dir", "image_size", "split_seed"):
        if getattr(config, name) != SearchConfig.model_fields[name].default:
            command += [f"--{name.replace('_', '-')}", str(getattr(config, name))]
    return shlex.join([*command, "--out", "my-teacher.safetensors"])


def _check_fits(path: Path, header: TeacherHeader, dataset: ImageDataset) -> None:
    misfits = _misfits(header, dataset)
    if misfits:
        raise TeacherError(
            f"teacher {path} does not fit {dataset.name}: {'; '.join(misfits)}; name another with "
            "--teacher, or make one with `gtn-nas pretrain`"
        )


def _misfits(header: TeacherHeader, dataset: ImageDataset) -> list[str]:
    """Return the reasons why a teacher cannot be used with a data set; empty if it can."""
    shape, wanted = ("x".join(map(str, s)) for s in (header.image_shape, dataset.image_shape))
    if shape != wanted:
        return [f"it was made for images of {shape}, and these are {wanted}"]
    if header.classes != dataset.classes:
        here, there = len(dataset.classes), len(header.classes)
        if here != there:
            return [f"it was made for {there} classes, and these are {here}"]
        return ["it was made for other classes"]
    if header.fingerprint != dataset.fingerprint:
        return [f"it was made with other images ({header.dataset})"]
    if header.split_seed != dataset.split_seed:
        # Some training images of its split are validation or test images of this one.
        return [f"it was made with split seed {header.split_seed}, not {dataset.split_seed}"]
    return []
