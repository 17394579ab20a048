"""The proxy ``latency``: the median time of a forward pass, on a worker without busy neighbours."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn

from gtn_nas.proxies.catalogue import LATENCY_MS
from gtn_nas.spaces.base import SearchSpace
from gtn_nas.trial import Evaluate, Record, Status, Trial

WARM_UPS = 3
"""Passes before the first one that counts."""
LEAST_RUNS = 10
"""Fewest passes that count."""
LEAST_S = 0.05
"""Fewest seconds that all passes take together, since short passes vary the most."""


@torch.inference_mode()
def measure_latency(network: nn.Module, images: Tensor) -> tuple[float, int]:
    """Return the median time of a forward pass in milliseconds, and the number of passes timed.

    The network is left in evaluation mode.
    """
    network.eval()
    for _ in range(WARM_UPS):
        _pass_s(network, images)
    times: list[float] = []
    total_s = 0.0
    while len(times) < LEAST_RUNS or total_s < LEAST_S:
        times.append(_pass_s(network, images))
        total_s += times[-1]
    return 1000 * median(times), len(times)


def _pass_s(network: nn.Module, images: Tensor) -> float:
    # A copy, since a first layer that works in place would change the input of the next pass.
    own = images.clone()
    _wait_for(images.device)
    start = time.perf_counter()
    network(own)
    _wait_for(images.device)
    return time.perf_counter() - start


def _wait_for(device: torch.device) -> None:
    """Wait until a GPU is done; a call returns before its work is."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@dataclass(frozen=True)
class LatencyEvaluator:
    """Makes, in a worker, the function that measures the latency of a fully trained network.

    The network has its final size and random images of the data set's own size.

    Attributes:
        space: the search space.
        image_shape: channels, height and width of a native image.
        num_classes: number of labels.
        batch: images in a forward pass.
    """

    space: SearchSpace
    image_shape: tuple[int, int, int]
    num_classes: int
    batch: int

    def __call__(self, arrays: Mapping[str, np.ndarray]) -> Evaluate:
        """Return the measuring function; it draws its own images and so needs no shared arrays."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

        def evaluate(trial: Trial) -> Record:
            torch.manual_seed(trial.seed)
            network = self.space.build(
                trial.architecture, self.image_shape, self.num_classes, "final"
            ).to(device)
            images = torch.randn(self.batch, *self.image_shape, device=device)
            latency_ms, runs = measure_latency(network, images)
            return Record.of(
                trial,
                Status.OK,
                device=device.type,
                threads=torch.get_num_threads(),
                torch_version=str(torch.__version__),
                extra={LATENCY_MS: latency_ms, "runs": runs},
            )

        return evaluate
