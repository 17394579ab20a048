import random
from itertools import combinations

import pytest
import torch
from torch import nn

from gtn_nas.spaces import get_space
from gtn_nas.spaces.draws import Draws
from gtn_nas.spaces.nas_bench_201_layers import Cell

SHAPE, CLASSES = (3, 16, 16), 10
THREE = "nor_conv_3x3"
THREES = f"|{THREE}~0|+|{THREE}~0|{THREE}~1|+|{THREE}~0|{THREE}~1|{THREE}~2|"


def built(space, architecture, seed=0):
    torch.manual_seed(seed)
    return space.build(architecture, SHAPE, CLASSES)


def made_at(places, seed=0):
    torch.manual_seed(seed)
    draws = Draws()
    return {place: draws.made(place, nn.Linear, 4, 3).weight for place in places}


def cell(text):
    return get_space("nas_bench_201").from_string(text)


def convolutions(cell):
    """The weights of its convolutions by their edge."""
    layers = zip(cell.edges, cell.layers, strict=True)
    return {edge: layer[1].weight for edge, layer in layers if isinstance(layer, nn.Sequential)}


def test_a_layer_starts_alike_whatever_others_were_made_before():
    alone, last = made_at(["b"]), made_at(["c", "a", "b"])
    assert torch.equal(alone["b"], last["b"])
    assert not torch.equal(last["a"], last["b"])


def test_another_seed_gives_other_weights():
    assert not torch.equal(made_at(["a"])["a"], made_at(["a"], seed=1)["a"])


def test_networks_built_one_after_the_other_differ():
    torch.manual_seed(0)
    first, second = (Draws().made("a", nn.Linear, 4, 3).weight for _ in range(2))
    assert not torch.equal(first, second)


def test_making_a_layer_leaves_the_stream_around_it_alone():
    torch.manual_seed(0)
    draws = Draws()
    expected = torch.get_rng_state()
    draws.made("a", nn.Linear, 4, 3)
    assert torch.equal(torch.get_rng_state(), expected)


def test_the_same_seed_builds_the_same_network_of_every_space():
    for name in ("conv_chain", "nas_bench_201", "nao_cells"):
        space = get_space(name)
        architecture = space.sample(random.Random(3))
        one, same, other = (built(space, architecture, seed).state_dict() for seed in (5, 5, 6))
        assert all(torch.equal(one[n], same[n]) for n in one)
        assert any(not torch.equal(one[n], other[n]) for n in one)


def test_cells_share_the_weights_of_the_layers_that_they_have_in_common():
    space, rng = get_space("nas_bench_201"), random.Random(0)
    common = 0
    for _ in range(20):
        first, second = (built(space, space.sample(rng)) for _ in range(2))
        assert torch.equal(first.classifier.weight, second.classifier.weight)
        assert torch.equal(first.stem[0].weight, second.stem[0].weight)
        for a, b in zip(first.body, second.body, strict=True):
            if isinstance(a, Cell):
                ours, theirs = convolutions(a), convolutions(b)
                both = [e for e in ours if e in theirs and ours[e].shape == theirs[e].shape]
                assert all(torch.equal(ours[edge], theirs[edge]) for edge in both)
                common += len(both)
    assert common > 20


def test_layers_of_different_places_start_differently():
    network = built(get_space("nas_bench_201"), cell(THREES))
    cells = [list(convolutions(c).values()) for c in network.body if isinstance(c, Cell)]
    for weights in cells:
        assert len(weights) == 6
        assert not any(torch.equal(a, b) for a, b in combinations(weights, 2))


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_networks_can_be_built_on_another_device(device):
    space = get_space("nas_bench_201")
    with torch.device(device):
        network = space.build(space.sample(random.Random(0)), SHAPE, CLASSES)
    assert {p.device.type for p in network.parameters()} == {device}
