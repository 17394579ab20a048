"""Makes the function with which a worker scores one trial by all proxies that were asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np
import torch
from torch import Tensor, nn

from gtn_nas.proxies.base import Build, ProxyData, ProxySettings, seed_of
from gtn_nas.proxies.registry import ProxyGroup, make_proxies
from gtn_nas.proxies.size import count_depth, count_flops, count_parameters
from gtn_nas.spaces.base import Scale, SearchSpace
from gtn_nas.teacher.inner_loop import Lesson
from gtn_nas.trial import Arrays, Evaluate, Record, Status, Trial

OWN_COLUMNS = frozenset(f.name for f in fields(Record))
"""Columns of every record. Scores of other names go into its ``extra``."""


def shared_arrays(
    data: ProxyData,
    lesson: Lesson | None = None,
    untrained: Lesson | None = None,
    training: tuple[Tensor, Tensor] | None = None,
) -> dict[str, np.ndarray]:
    """Return everything that all workers share, by name, on the CPU.

    Args:
        data: real images to score on.
        lesson: the teacher's lesson, if a proxy needs it.
        untrained: the lesson of an untrained teacher, if a proxy needs it.
        training: uint8 training images ``(N, C, H, W)`` and their labels ``(N,)``, if a proxy
            needs them.
    """
    tensors = {name: getattr(data, name) for name in (f.name for f in fields(ProxyData))}
    for prefix, found in (("lesson", lesson), ("untrained", untrained)):
        if found is not None:
            tensors |= {f"{prefix}_{f.name}": getattr(found, f.name) for f in fields(Lesson)}
    if training is not None:
        tensors["training_images"], tensors["training_labels"] = training
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


@dataclass(frozen=True)
class Evaluator:
    """Makes, in each worker, the function that scores a trial by some proxies.

    It computes on the GPU if the worker has one. The seed of a candidate alone decides its weights,
    so its score does not depend on the worker, nor on what was evaluated before.

    Attributes:
        space: the search space.
        image_shape: channels, height and width.
        num_classes: number of labels.
        proxies: names of the proxies.
        settings: what the proxies are told.
    """

    space: SearchSpace
    image_shape: tuple[int, int, int]
    num_classes: int
    proxies: tuple[str, ...] = ("gtn",)
    settings: ProxySettings = field(default_factory=ProxySettings)

    def __call__(self, arrays: Arrays) -> Evaluate:
        """Copy the shared arrays to the device, once, and return the scoring function."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        # A copy, since the shared arrays are read-only, and torch has no read-only tensors.
        tensors = {name: torch.tensor(array, device=device) for name, array in arrays.items()}
        groups = make_proxies(self.proxies, self.settings, tensors)
        data = ProxyData(*(tensors[f.name] for f in fields(ProxyData)))

        def evaluate(trial: Trial) -> Record:
            def build(initialisation: int = 0, scale: Scale = "proxy") -> nn.Module:
                torch.manual_seed(seed_of(trial, initialisation))
                network = self.space.build(
                    trial.architecture, self.image_shape, self.num_classes, scale
                )
                return network.to(device)

            network = build()
            sizes = {
                "params": count_parameters(network),
                "flops": count_flops(network, self.image_shape),
                "depth": count_depth(network, self.image_shape),
                "device": device.type,
                "threads": torch.get_num_threads(),
                "torch_version": str(torch.__version__),
            }
            found = _Findings()
            for group in groups:
                # Copies again, since a network whose first layer works in place overwrites its
                # images, and the next one must see the same.
                own = ProxyData(*(getattr(data, f.name).clone() for f in fields(data)))
                found.add(group, build, trial, own)
            return found.record(trial, sizes)

        return evaluate


class _Findings:
    """What the proxies found for one candidate."""

    def __init__(self) -> None:
        self.columns: dict[str, float] = {}
        self.times: dict[str, float] = {}
        self.failures: dict[str, str] = {}
        self.train_s, self.eval_s = 0.0, 0.0

    def add(self, group: ProxyGroup, build: Build, trial: Trial, data: ProxyData) -> None:
        """Compute some proxies. If the candidate diverges, note the reason for their columns."""
        try:
            scores = group.compute(build, trial, data)
        except FloatingPointError as error:
            self.failures |= dict.fromkeys(group.columns, str(error))
            return
        self.columns |= scores.columns
        self.failures |= scores.failures
        self.times[group.cost_column] = scores.train_s + scores.eval_s
        self.train_s += scores.train_s
        self.eval_s += scores.eval_s

    def record(self, trial: Trial, sizes: Mapping[str, object]) -> Record:
        """Return the candidate's record; its status is ``diverged`` if no proxy has a score."""
        if not self.columns and self.failures:
            reasons = "; ".join(dict.fromkeys(self.failures.values()))
            return Record.of(trial, Status.DIVERGED, error=reasons, **sizes)
        own = {name: value for name, value in self.columns.items() if name in OWN_COLUMNS}
        return Record.of(
            trial,
            Status.OK,
            **own,
            **sizes,
            extra={n: v for n, v in self.columns.items() if n not in own} | self.times,
            proxy_errors=json.dumps(self.failures) if self.failures else None,
            train_s=self.train_s,
            eval_s=self.eval_s,
        )
