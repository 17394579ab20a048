import random

import pytest
import torch
from torch import nn

from gtn_nas.proxies.size import count_depth, count_flops, count_parameters
from gtn_nas.spaces import SPACES, get_space

from .candidates import CLASSES, SHAPE, architecture, build, trial

NET = nn.Sequential(
    nn.Conv2d(3, 4, 3, stride=2, padding=1),  # 8x8 becomes 4x4
    nn.BatchNorm2d(4),
    nn.ReLU(),
    nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False),
    nn.Flatten(),
    nn.Linear(4 * 4 * 4, 5),
)


def test_parameters_are_those_counted_by_hand():
    assert count_parameters(NET) == (3 * 4 * 9 + 4) + (4 + 4) + 4 * 9 + (64 * 5 + 5)


def test_frozen_parameters_do_not_count():
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4))
    network[0].requires_grad_(requires_grad=False)
    assert count_parameters(network) == 3 * 4 + 4


def test_operations_are_those_counted_by_hand():
    strided, depthwise, linear = 4 * 16 * 3 * 9, 4 * 16 * 9, 64 * 5
    assert count_flops(NET, (3, 8, 8)) == 2 * (strided + depthwise + linear)


def test_operations_of_a_convolution_grow_with_the_image_and_its_parameters_do_not():
    network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.AdaptiveAvgPool2d(1))
    assert count_flops(network, (1, 16, 24)) == 6 * count_flops(network, (1, 8, 8))


class Sum(nn.Module):
    """Adds up what several ways through a network give."""

    def __init__(self, *ways):
        super().__init__()
        self.ways = nn.ModuleList(ways)

    def forward(self, images):
        return sum(way(images) for way in self.ways)


class Ignored(nn.Module):
    """Has a layer of which nothing depends."""

    def __init__(self):
        super().__init__()
        self.layer, self.bias = nn.Linear(64, 5), nn.Parameter(torch.zeros(5))

    def forward(self, images):
        self.layer(images.flatten(1))
        return self.bias.expand(len(images), -1)


def conv():
    return nn.Conv2d(1, 1, 3, padding=1)


@pytest.mark.parametrize(
    ("network", "depth"),
    [
        (nn.Sequential(conv(), nn.ReLU(), conv(), nn.Flatten(), nn.Linear(64, 5)), 3),
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 9), nn.Linear(9, 5, bias=False)), 2),
        (Sum(nn.Identity(), nn.Sequential(conv(), conv()), conv()), 2),
        (nn.Sequential(Sum(nn.Identity(), conv()), Sum(nn.Sequential(conv(), conv()), conv())), 3),
        (nn.Sequential(conv(), Sum(nn.MaxPool2d(1), nn.Identity()), conv()), 2),
        (nn.Sequential(nn.BatchNorm2d(1), nn.Flatten()), 0),
        (Ignored(), 0),
    ],
    ids=["chain", "linear", "residual", "residuals", "pooled", "no weights", "ignored weights"],
)
def test_the_longest_way_decides_the_depth(network, depth):
    assert count_depth(network, (1, 8, 8)) == depth
    with torch.no_grad():
        assert count_depth(network, (1, 8, 8)) == depth


def test_a_way_of_many_branches_is_counted_at_once():
    """Its ways double with every layer."""
    network = nn.Sequential(*(Sum(conv(), conv()) for _ in range(60)))
    assert count_depth(network, (1, 8, 8)) == 60


@pytest.mark.parametrize("norm", get_space("conv_chain").choices["norm"])
@pytest.mark.parametrize(("kind", "each"), [("plain", 1), ("separable", 2)])
def test_the_depth_of_a_candidate_is_that_of_its_layers(norm, kind, each):
    """All but the first are of the kind, and a linear classifier follows."""
    for depth in get_space("conv_chain").choices["depth"]:
        kinds = {f"conv_{i}": kind for i in range(2, depth + 1)}
        candidate = trial(architecture(depth=depth, norm=norm, residual=True, **kinds))
        assert count_depth(build(candidate), SHAPE) == 1 + each * (depth - 1) + 1


@pytest.mark.parametrize("name", SPACES)
def test_counting_leaves_the_network_as_it_was(name):
    space = get_space(name)
    network = space.build(space.sample(random.Random(0)), SHAPE, CLASSES)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    assert count_flops(network, SHAPE) == count_flops(network, SHAPE) > 0
    assert count_depth(network, SHAPE) == count_depth(network, SHAPE) > 0
    assert not network.training
    assert all(torch.equal(before[key], tensor) for key, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
