import random

import pytest
import torch
from torch import nn

from gtn_nas.proxies.size import count_flops, count_parameters
from gtn_nas.spaces import SPACES, get_space

from .candidates import CLASSES, SHAPE

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


@pytest.mark.parametrize("name", SPACES)
def test_counting_leaves_the_network_as_it_was(name):
    space = get_space(name)
    network = space.build(space.sample(random.Random(0)), SHAPE, CLASSES)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    assert count_flops(network, SHAPE) == count_flops(network, SHAPE) > 0
    assert not network.training
    assert all(torch.equal(before[key], tensor) for key, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
