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
        # A copy: the pages mapped into every worker are read-only, and no tensor can be that.
        tensors = {name: torch.tensor(array, device=device) for name, array in arrays.items()}

        def evaluate(trial: Trial) -> Record:
            # Copies again: a network whose first layer works in place writes on its images, and the
            # next candidate must see the same ones.
            own = {name: tensor.clone() for name, tensor in tensors.items()}
            lesson = Lesson(
                own["lesson_images"], own["lesson_labels"], own["learning_rates"], own["momenta"]
            )
            data = ProxyData(own["calibration"], own["images"], own["labels"])
            return self._evaluate(trial, GtnProxy(lesson), data)

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
