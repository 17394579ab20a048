"""The configuration of a search, which every run folder keeps as a YAML file."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gtn_nas.config.base import (
    Group,
    Momentum,
    Names,
    PositiveFloat,
    PositiveInt,
    UriOrPath,
    setting,
)
from gtn_nas.config.workers import WorkersConfig
from gtn_nas.errors import ConfigError

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
"""Settings that a resumed run may change; other changes would make its results incomparable."""


class SearchConfig(WorkersConfig):
    """Settings of one search; each is described on its field and by ``gtn-nas search --help``.

    Example:
        >>> from gtn_nas import SearchConfig
        >>> config = SearchConfig(strategy="regularized_evolution", limits=["params<=50000"])
        >>> config.candidates, config.top_k
        (200, 3)
    """

    teacher: str | None = setting(
        None,
        "Name of a teacher that comes with the package (`gtn-nas teachers` lists them), or the "
        "path or URI of a teacher's file. By default the one of the package that fits the data "
        "set.",
        Group.RANKING,
    )
    strategy: str = setting(
        "random",
        "Name of the strategy that chooses the next candidates (`gtn-nas strategies` lists them), "
        "or `module:Class` for one of your own.",
        Group.SPACE,
    )
    sampler: str | None = setting(
        None,
        "Optuna's sampler, by its name there, for `--strategy optuna`. By default `TPESampler`.",
        Group.SPACE,
    )
    candidates: PositiveInt = setting(200, "Distinct architectures to evaluate.", Group.SPACE)
    top_k: Annotated[int, Field(ge=0)] = setting(
        3, "How many of the best candidates are fully trained.", Group.FINALS
    )
    predictor: bool = setting(
        False,
        "After the first ten full trainings, choose the candidate of each next one by a random "
        "forest. It learns from the architectures, their proxies and the full trainings that have "
        "ended. `--top-k` counts both kinds.",
        Group.FINALS,
    )
    halve_finals: bool = setting(
        False,
        "End full trainings that are behind after an eighth, a quarter or half of their epochs "
        "(asynchronous successive halving). `--top-k` counts them too.",
        Group.FINALS,
    )
    proxies: Names = setting(
        ("gtn",),
        "Proxies that score candidates, in addition to those that the ranking, objectives and "
        "limits need; several are joined by commas. Available: {proxies}.",
        Group.RANKING,
    )
    proxy_seeds: PositiveInt | None = setting(
        None,
        "Initialisations that the scores of trained candidates are the mean of. By default 1, or "
        "3 where the default of `--rank-by` makes use of the teacher.",
        Group.RANKING,
    )
    real_steps: PositiveInt = setting(
        32, "Batches that the proxy `real_steps` trains on.", Group.RANKING
    )
    real_batch_size: PositiveInt = setting(64, "Images in a batch of the proxy `real_steps`.")
    real_learning_rate: PositiveFloat | tuple[PositiveFloat, ...] = setting(
        0.1,
        "Learning rate of the proxy `real_steps`: the one that it starts with and that falls along "
        "half a cosine, or one for each step, as `pretrain --curriculum real_data` learns them.",
    )
    real_momentum: Momentum | tuple[Momentum, ...] = setting(
        0.9, "Momentum of the proxy `real_steps`, or one for each step."
    )
    zero_cost_scale: Literal["proxy", "final"] = setting(
        "final",
        "Which network the proxies without training look at: `final` is the one that would be "
        "fully trained, `proxy` the small one.",
    )
    latency_batch: PositiveInt = setting(
        1, "Images in the forward pass whose time is measured as `latency_ms`.", Group.RANKING
    )
    rank_by: str | None = setting(
        None,
        "Column that ranks the candidates. Several columns joined by `+` rank by the mean of their "
        "ranks, as in `proxy_loss+nwot`, and joined by `*` by the geometric mean, as in "
        "`nwot*params`. Of sizes such as `params`, the larger ranks first here. By default "
        "`jacob_cov*params`, or `jacob_cov*params*synflow*proxy_loss` where the teacher was found "
        "to rank.",
        Group.RANKING,
    )
    objectives: tuple[str, ...] = setting(
        (),
        "Column to weigh against the ranking, such as `params`; may be repeated. The Pareto front "
        "is shown, and full trainings are chosen from it.",
        Group.RANKING,
        option="--objective",
    )
    limits: tuple[str, ...] = setting(
        (),
        "Condition that candidates must meet, such as `params<=100000`; may be repeated. A "
        "candidate that does not meet all ranks last, is never fully trained, and is infeasible to "
        "the strategy.",
        Group.RANKING,
        option="--limit",
    )
    executor: str = setting(
        "ray",
        "What evaluates the candidates and trains the best: {executors}.",
        Group.WORKERS,
    )
    workers: PositiveInt | None = setting(
        None,
        "A fixed number of Ray workers. By default as many as fit, also on nodes that join later.",
        Group.WORKERS,
    )
    min_workers: PositiveInt | None = setting(
        None,
        "Instead of a fixed number, the fewest workers that a search goes on with for long. By "
        "default 1.",
        Group.WORKERS,
    )
    max_workers: PositiveInt | None = setting(
        None,
        "Instead of a fixed number, the most workers. They are asked for whether they fit or not, "
        "so that a cluster that grows on demand does grow. By default as many as fit.",
        Group.WORKERS,
    )
    timeout_s: PositiveFloat = setting(
        300.0, "Seconds that the evaluation of a candidate may take.", Group.WORKERS
    )
    final_epochs: PositiveInt = setting(60, "Epochs of a full training.", Group.FINALS)
    out: UriOrPath | None = setting(
        None,
        "Run folder: a path, or a URI such as `s3://bucket/runs/x`. By default "
        "`runs/<dataset>-<space>-<time>`.",
        Group.OUTPUT,
    )

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


def refuse_changes(stored: SearchConfig, wanted: SearchConfig) -> None:
    """Refuse a resume that changes settings other than ``RESUMABLE``, ``out`` and ``data_dir``.

    Args:
        stored: configuration that the run was started with.
        wanted: configuration that the run should continue with.

    Raises:
        ConfigError: other settings differ. The message shows each with both values.
    """
    old, new = stored.model_dump(), wanted.model_dump()
    changed = [n for n in old if old[n] != new[n] and n not in RESUMABLE | {"out", "data_dir"}]
    if changed:
        shown = ", ".join(f"{n}: {old[n]} -> {new[n]}" for n in changed)
        raise ConfigError(
            f"a resumed run cannot change {shown}; only {', '.join(sorted(RESUMABLE))} may differ"
        )
