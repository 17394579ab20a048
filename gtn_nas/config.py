"""The validated configuration of a run; a YAML file is a run."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from gtn_nas.errors import ConfigError
from gtn_nas.files import uri_or_path

PositiveInt = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
Momentum = Annotated[float, Field(ge=0, lt=1)]


def _split(value: object) -> object:
    """Turn ``a,b`` into a tuple, as a command line gives it; an empty text names nothing."""
    return tuple(filter(None, value.split(","))) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
UriOrPath = Annotated[str | Path, BeforeValidator(uri_or_path)]

Curriculum = Literal["full", "shuffled_batch", "all_shuffled", "none", "fixed_noise", "pixels"]
"""What of a lesson is learned beside the generator (Such et al. 2019, section 3.2).

``full``: noise of every image, in a fixed order. ``shuffled_batch``: the same, its batches in
random order. ``all_shuffled``: a pool of noise that batches are drawn from. ``none``: nothing;
noise is fresh. Two controls: ``fixed_noise`` is ``full`` with noise that stays as it was drawn, and
``pixels`` learns the images themselves, without a generator (Wang et al. 2018, arXiv 1811.10959).
"""

RESUMABLE = frozenset(
    {
        "candidates",
        "top_k",
        "predictor",
        "halve_finals",
        "executor",
        "workers",
        "min_workers",
        "max_workers",
        "cpus_per_worker",
        "gpus_per_worker",
        "address",
    }
)
"""What a resumed run may change; anything else would mix results that cannot be compared."""


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


C = TypeVar("C", bound=_Config)


class DataConfig(_Config):
    """Which images, and how they are split.

    Attributes:
        dataset: name of a data set, ``folder:DIR`` or ``parquet:DIR``, also with a bucket's URI.
        data_dir: where downloadable data sets are kept.
        image_size: side that a folder's or Parquet's images are resized to, in pixels.
        split_seed: seed of the split into train, validation and (where none is published) test.
        space: name of a search space, or ``module:Class``.
        seed: seed of everything random but the split.
    """

    dataset: str = "digits"
    data_dir: Path = Path("data")
    image_size: Annotated[int, Field(ge=8)] | None = None
    split_seed: Annotated[int, Field(ge=0)] = 0
    space: str = "conv_chain"
    seed: Annotated[int, Field(ge=0)] = 0


class SearchConfig(DataConfig):
    """One search.

    Attributes:
        teacher: a shipped teacher's name, or the path or URI of an artefact; by default the
            shipped one that fits the data set.
        strategy: ``random``, ``regularized_evolution``, ``successive_halving`` or ``optuna``.
        sampler: Optuna's sampler, by its name there; ``TPESampler`` by default.
        candidates: distinct architectures to evaluate.
        top_k: how many of the best are fully trained.
        predictor: after the first ten of them, choose each next one by a random forest that learns
            from choices, proxies and those that have ended; ``top_k`` counts both kinds.
        halve_finals: end full trainings that are behind after an eighth, a quarter or half of the
            epochs (asynchronous successive halving); ``top_k`` counts them too.
        proxies: what scores candidates beside what ``rank_by``, objectives and limits need:
            ``gtn``, ``gtn_improvement``, ``gtn_untrained``, ``real_steps``, a zero-cost proxy, or
            ``latency``.
        proxy_seeds: initialisations that the scores of trained candidates are the mean of; by
            default 1, and 3 where ``rank_by`` becomes one that the teacher counts in.
        real_steps: batches of the proxy ``real_steps``.
        real_batch_size: images in one of them.
        real_learning_rate: learning rate that it starts with and that falls by half a cosine, or
            one for each step, as ``pretrain --curriculum real_data`` learns them.
        real_momentum: its momentum, or one for each step.
        zero_cost_scale: whether proxies without training look at the network that would be trained
            fully, or at the small one.
        latency_batch: images in a forward pass whose latency is measured.
        rank_by: column that ranks the candidates, or several joined by ``+`` that rank them by
            their mean rank, or by ``*`` for the geometric mean; the larger network is the better
            one here. By default it depends on how the teacher was found to rank: see
            ``default_ranking``.
        objectives: columns weighed against it; the Pareto front is shown, and trained fully.
        limits: conditions such as ``params<=100000``; what is beyond ranks last, is never trained
            fully, and is infeasible to the strategy.
        executor: ``ray`` or ``inline``.
        workers: a fixed number of Ray actors; by default as many as fit, also on nodes that join.
        min_workers: instead, the fewest that a run goes on with for long.
        max_workers: instead, the most; asked for whether they fit or not, so that a cluster which
            grows by demand does.
        cpus_per_worker: CPUs, and so threads, of one actor.
        gpus_per_worker: GPUs of one actor; fractions share one.
        timeout_s: seconds a candidate may take.
        final_epochs: epochs of a full training.
        address: Ray cluster to join; by default ``RAY_ADDRESS``, else a private local one.
        out: run folder, or a URI such as ``s3://bucket/runs/x``; by default
            ``runs/<dataset>-<space>-<time>``.
    """

    teacher: str | None = None
    strategy: Literal["random", "regularized_evolution", "successive_halving", "optuna"] = "random"
    sampler: str | None = None
    candidates: PositiveInt = 200
    top_k: Annotated[int, Field(ge=0)] = 3
    predictor: bool = False
    halve_finals: bool = False
    proxies: Names = ("gtn",)
    proxy_seeds: PositiveInt | None = None
    real_steps: PositiveInt = 32
    real_batch_size: PositiveInt = 64
    real_learning_rate: PositiveFloat | tuple[PositiveFloat, ...] = 0.1
    real_momentum: Momentum | tuple[Momentum, ...] = 0.9
    zero_cost_scale: Literal["proxy", "final"] = "final"
    latency_batch: PositiveInt = 1
    rank_by: str | None = None
    objectives: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    executor: Literal["ray", "inline"] = "ray"
    workers: PositiveInt | None = None
    min_workers: PositiveInt | None = None
    max_workers: PositiveInt | None = None
    cpus_per_worker: PositiveFloat = 1.0
    gpus_per_worker: Annotated[float, Field(ge=0)] = 0.0
    timeout_s: PositiveFloat = 300.0
    final_epochs: PositiveInt = 60
    address: str | None = None
    out: UriOrPath | None = None

    @model_validator(mode="after")
    def _one_for_each_step(self) -> Self:
        for name in ("real_learning_rate", "real_momentum"):
            given = getattr(self, name)
            if isinstance(given, tuple) and len(given) != self.real_steps:
                raise ValueError(f"{name} has {len(given)} values for {self.real_steps} real_steps")
        return self

    @model_validator(mode="after")
    def _fixed_or_between(self) -> Self:
        if self.workers and (self.min_workers or self.max_workers):
            raise ValueError(
                "workers is a fixed number; min_workers and max_workers are for others"
            )
        if (self.min_workers or 1) > (self.max_workers or math.inf):
            raise ValueError(
                f"min_workers {self.min_workers} is above max_workers {self.max_workers}"
            )
        return self


class ValidateConfig(SearchConfig):
    """One validation of proxies: a search whose candidates all have a truth.

    Attributes:
        candidates: architectures that are drawn.
        proxies: what is validated.
        truth: table of known accuracies; without one, every architecture is fully trained.
        truth_column: its column of accuracies, fractions or per cent.
        arch_column: its column of architectures.
    """

    candidates: PositiveInt = 60
    proxies: Names = (
        "gtn",
        "real_steps",
        "nwot",
        "jacob_cov",
        "synflow",
        "snip",
        "grad_norm",
        "zico",
    )
    truth: Path | None = None
    truth_column: str = "accuracy"
    arch_column: str = "arch"


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


def parse(kind: type[C], values: Mapping[str, Any]) -> C:
    """Validate values into a configuration.

    Raises:
        ConfigError: names every misspelt key, with the nearest known one, and every bad value.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problems = [_problem(kind, item) for item in error.errors()]
        raise ConfigError("; ".join(problems)) from error


def _problem(kind: type[_Config], item: Any) -> str:
    name = ".".join(map(str, item["loc"]))
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, kind.model_fields, n=1)
        return f"unknown setting {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    if item["type"] == "value_error":  # raised by a check of ours, in its own words
        return str(item["ctx"]["error"])
    return f"{name}: {item['msg'].lower()} (got {item['input']!r})"


def refuse_changes(stored: SearchConfig, wanted: SearchConfig) -> None:
    """Allow a resume to change only what keeps results comparable.

    Raises:
        ConfigError: shows every other difference.
    """
    old, new = stored.model_dump(), wanted.model_dump()
    changed = [n for n in old if old[n] != new[n] and n not in RESUMABLE | {"out", "data_dir"}]
    if changed:
        shown = ", ".join(f"{n}: {old[n]} -> {new[n]}" for n in changed)
        raise ConfigError(
            f"a resumed run cannot change {shown}; only {', '.join(sorted(RESUMABLE))} may differ"
        )
