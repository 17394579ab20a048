"""Turns shared arrays into the function that scores one trial inside a worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from gtn_nas.proxies.base import ProxyData
from gtn_nas.proxies.gtn import GtnProxy
from gtn_nas.proxies.size import count_flops, count_parameters
from gtn_nas.spaces.base import SearchSpace
from gtn_nas.teacher.inner_loop import Lesson
from gtn_nas.trial import Evaluate, Record, Status, Trial

Arrays = Mapping[str, np.ndarray]


def shared_arrays(lesson: Lesson, data: ProxyData) -> dict[str, np.ndarray]:
    """Return everything that all workers share, by name; float32 and int64, on the CPU."""
    tensors = {
        "lesson_images": lesson.images,
        "lesson_labels": lesson.labels,
        "learning_rates": lesson.learning_rates,
        "momenta": lesson.momenta,
        "calibration": data.calibration,
        "images": data.images,
        "labels": data.labels,
    }
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


@dataclass(frozen=True)
class GtnEvaluator:
    """Makes, in each worker, the function that scores a trial with the teacher's lesson.

    The device is chosen by what the worker sees. A candidate's seed alone decides its weights, so
    its score depends neither on the worker nor on what was evaluated before.

    Attributes:
        space: the search space.
        image_shape: channels, height and width.
        num_classes: number of labels.
    """

    space: SearchSpace
    image_shape: tuple[int, int, int]
    num_classes: int

    def __call__(self, arrays: Arrays) -> Evaluate:
        """Copy the shared arrays to the device, once, and return the scoring function."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        # A copy, since the shared pages are mapped into every worker and must never be written.
        tensors = {name: torch.from_numpy(a.copy()).to(device) for name, a in arrays.items()}
        lesson = Lesson(
            tensors["lesson_images"],
            tensors["lesson_labels"],
            tensors["learning_rates"],
            tensors["momenta"],
        )
        data = ProxyData(tensors["calibration"], tensors["images"], tensors["labels"])
        proxy = GtnProxy(lesson)

        def evaluate(trial: Trial) -> Record:
            return self._evaluate(trial, proxy, data)

        return evaluate

    def _evaluate(self, trial: Trial, proxy: GtnProxy, data: ProxyData) -> Record:
        device = data.images.device

        def build() -> nn.Module:
            torch.manual_seed(trial.seed)
            network = self.space.build(
                trial.architecture, self.image_shape, self.num_classes, "proxy"
            )
            return network.to(device)

        network = build()
        common = {
            "params": count_parameters(network),
            "flops": count_flops(network, self.image_shape),
            "device": device.type,
            "threads": torch.get_num_threads(),
            "torch_version": str(torch.__version__),
        }
        try:
            scores = proxy(build, trial, data)
        except FloatingPointError as error:
            return Record.of(trial, Status.DIVERGED, error=str(error), **common)
        return Record.of(
            trial,
            Status.OK,
            **scores.columns,
            **common,
            train_s=scores.train_s,
            eval_s=scores.eval_s,
        )
