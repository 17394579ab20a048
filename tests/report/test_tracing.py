import random

import pytest
import torch
from torch import nn

from gtn_nas.report.tracing import MOST_STEPS, TIMES, TooLargeError, trace
from gtn_nas.spaces import SPACES, get_space

SHAPE = (3, 16, 16)


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("scale", ["proxy", "final"])
def test_every_space_is_traced_with_all_its_parameters(name, scale):
    space = get_space(name)
    network = space.build(space.sample(random.Random(3)), SHAPE, 10, scale)
    steps = trace(network, SHAPE)
    assert (steps[0].text, steps[0].shape) == ("image", SHAPE)
    assert steps[-1].shape == (10,)
    assert all(source < place for place, step in enumerate(steps) for source in step.inputs)
    assert sum(step.params for step in steps) == sum(p.numel() for p in network.parameters())


class Twisted(nn.Module):
    """What symbolic tracing cannot follow: a way that depends on values, shared weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.scale = nn.Parameter(torch.ones(3, 1, 1))
        self.unused = nn.Linear(5, 5)

    def forward(self, x):
        y = self.conv(self.conv(x))
        if float(y.sum()) > -1e9:
            y = y * self.scale
        return torch.cat([x, y], 1).mean((2, 3))


def test_ways_that_depend_on_values_and_shared_layers_are_followed():
    steps = trace(Twisted(), SHAPE)
    assert [step.text for step in steps] == [
        "image",
        *[f"Conv2d 3{TIMES}3, 3 → 3"] * 2,
        "mul",
        "cat",
        "mean",
    ]
    assert [step.params for step in steps] == [0, 84, 0, 3, 0, 0]
    assert steps[4].inputs == [0, 3]


def test_what_a_network_raises_passes_through():
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        trace(nn.Sequential(nn.Flatten(), nn.Linear(5, 2)), SHAPE)


def test_a_network_beyond_what_can_be_drawn_is_refused():
    with pytest.raises(TooLargeError, match=f"{MOST_STEPS:,}"):
        trace(nn.Sequential(*(nn.ReLU() for _ in range(MOST_STEPS + 1))), SHAPE)


def test_no_hook_stays_behind():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    trace(network, SHAPE)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
