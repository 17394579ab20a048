"""The configuration of a search; a YAML file of it is a run."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gtn_nas.config.base import Momentum, Names, PositiveFloat, PositiveInt, UriOrPath
from gtn_nas.config.data import DataConfig
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
"""What a resumed run may change; anything else would mix results that cannot be compared."""


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

    Example:
        >>> from gtn_nas import SearchConfig
        >>> config = SearchConfig(strategy="regularized_evolution", limits=["params<=50000"])
        >>> config.candidates, config.top_k
        (200, 3)
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
