"""What every registered search space must do, and the example of a user's own."""

import pytest

from gtn_nas.spaces import SPACES, get_space
from gtn_nas.testing.spaces import (
    CHECKS_OF_CHOICES,
    CHECKS_OF_NETWORKS,
    networks_take_images_and_learn,
)

IMAGE_SHAPES = [(1, 8, 8), (3, 8, 8), (1, 28, 28), (3, 32, 32), (3, 17, 23)]

SPECS = [*SPACES, "examples.own_space:MobileChain"]

every_space = pytest.mark.parametrize("space", [*map(get_space, SPECS)], ids=SPECS)


def name_of(check):
    return check.__name__


@every_space
@pytest.mark.parametrize("check", CHECKS_OF_CHOICES, ids=name_of)
def test_its_choices_keep_the_rule(space, check):
    check(space)


@every_space
@pytest.mark.parametrize("check", CHECKS_OF_NETWORKS, ids=name_of)
def test_its_networks_keep_the_rule(space, check):
    check(space, (3, 8, 8))


@every_space
@pytest.mark.parametrize("shape", IMAGE_SHAPES, ids=lambda shape: "x".join(map(str, shape)))
def test_its_networks_take_images_of_every_size(space, shape):
    networks_take_images_and_learn(space, shape)
