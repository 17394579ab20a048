import math
from types import MappingProxyType

import pytest
import torch
from torch import nn

from gtn_nas.architecture import Architecture
from gtn_nas.executors.base import attempt
from gtn_nas.proxies.latency import LEAST_RUNS, LatencyEvaluator, measure_latency
from gtn_nas.spaces.base import SearchSpace
from gtn_nas.trial import Status, Trial

from . import candidates


class Picky(nn.Module):
    """A network that runs only where it is meant to: in evaluation mode, on one shape."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape, self.head = shape, nn.Linear(math.prod(shape[1:]), 2)

    def forward(self, images):
        if self.training or images.shape != self.shape or torch.is_grad_enabled():
            raise ValueError(f"cannot take {tuple(images.shape)}")
        return self.head(images.flatten(1))


class Scaled(SearchSpace):
    """Networks for five images at once, at final scale alone."""

    name = "scaled"
    choices = MappingProxyType({"batch": (5, 6)})

    def build(self, architecture, input_shape, num_classes, scale="proxy"):
        if scale != "final":
            raise ValueError("nobody deploys this one")
        return Picky((architecture.choices["batch"], *input_shape))


def trial(batch):
    return Trial(Architecture("scaled", {"batch": batch}), 32, ask_index=3, seed=1)


def evaluator(batch=5):
    return LatencyEvaluator(Scaled(), (3, 20, 20), 2, batch)({})


@pytest.mark.parametrize("batch", [1, 4])
def test_a_latency_is_a_finite_time_of_some_passes(batch):
    network = candidates.build(candidates.trial())
    latency_ms, runs = measure_latency(network, torch.randn(batch, *candidates.SHAPE))
    assert 0 < latency_ms < math.inf
    assert runs >= LEAST_RUNS
    assert not network.training


def test_images_stay_as_they_are_and_weights_too():
    network = nn.Sequential(nn.ReLU(inplace=True), nn.BatchNorm2d(1), nn.Flatten())
    images = torch.randn(2, 1, 4, 4)
    before, state = images.clone(), {n: t.clone() for n, t in network.state_dict().items()}
    measure_latency(network, images)
    assert torch.equal(images, before)
    assert all(torch.equal(t, state[n]) for n, t in network.state_dict().items())


def test_a_candidate_is_measured_as_it_would_be_deployed():
    record = evaluator()(trial(batch=5))
    assert (record.status, record.key) == (Status.OK, trial(5).architecture.key)
    assert record.extra["latency_ms"] > 0
    assert record.extra["runs"] >= LEAST_RUNS
    assert record.device in {"cpu", "cuda"}
    assert record.threads == torch.get_num_threads()
    assert record.torch_version == torch.__version__


def test_a_network_that_fails_gives_the_reason_and_no_latency():
    record = attempt(evaluator(), trial(batch=6))
    assert record.status is Status.FAILED
    assert "cannot take (5, 3, 20, 20)" in record.error
    assert record.extra == {}
