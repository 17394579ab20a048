import itertools
import math
import random
import statistics

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from gtn_nas.architecture import Architecture
from gtn_nas.spaces.conv_chain import MAX_DEPTH, ConvChain, halvings_of

SPACE = ConvChain()
BASE = {name: options[0] for name, options in SPACE.choices.items()}
WHOLE_NETWORK = ("norm", "head", "halve")
PER_LAYER = ("width", "kernel", "conv")

seeds = st.integers(0, 2**31 - 1)


def of_depth(depth, **choices):
    return SPACE.architecture(BASE | {"depth": depth} | choices)


def build(architecture, shape=(1, 16, 16), classes=10, seed=0):
    torch.manual_seed(seed)
    return SPACE.build(architecture, shape, classes)


def are_the_same(one, other):
    """Whether two architectures are one network: of equal parameters and equal outputs."""
    networks = [build(architecture) for architecture in (one, other)]
    weights, others = ([*network.parameters()] for network in networks)
    if [w.shape for w in weights] != [w.shape for w in others]:
        return False
    images = torch.randn(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for weight, same in zip(weights, others, strict=True):
            weight.copy_(same)
        return torch.equal(networks[0](images), networks[1](images))


def layer_choices(depth):
    """Name the choices of every layer; the first convolution is always a plain one."""
    names = [f"{part}_{i}" for part in PER_LAYER for i in range(1, depth + 1)]
    return [name for name in names if name != "conv_1"]


def number_of_keys(depth):
    """Count canonical forms of a depth by hand; norm, head and halve are left out.

    Every layer has one of 4 widths and 2 kernels, all but the first one of 2 convolutions, and
    there are residuals or none; but none where no two consecutive widths match: the first is one of
    4, each next one of 3.
    """
    unmatched = 4 * 3 ** (depth - 1)
    matched = 4**depth - unmatched
    return 2**depth * 2 ** (depth - 1) * (2 * matched + unmatched)


@pytest.mark.parametrize("depth", [2, 3])
def test_the_number_of_keys_is_the_one_counted_by_hand(depth):
    names = [*layer_choices(depth), "residual"]
    every = itertools.product(*(SPACE.choices[name] for name in names))
    keys = {of_depth(depth, **dict(zip(names, values, strict=True))).key for values in every}
    assert len(keys) == number_of_keys(depth)


def test_there_are_hundreds_of_millions_of_architectures():
    whole_network = math.prod(len(SPACE.choices[name]) for name in WHOLE_NETWORK)
    total = whole_network * sum(number_of_keys(depth) for depth in SPACE.choices["depth"])
    assert total == 188_688_768


def test_a_sample_hardly_ever_repeats_itself():
    rng = random.Random(0)
    keys = {SPACE.sample(rng).key for _ in range(5000)}
    assert len(keys) > 4700


def test_sampled_layers_are_about_32_channels_wide():
    rng = random.Random(0)
    samples = [SPACE.sample(rng).choices for _ in range(2000)]
    widths = [v for choices in samples for name, v in choices.items() if name.startswith("width")]
    assert statistics.mean(widths) == pytest.approx(32, abs=1)


@pytest.mark.parametrize("name", WHOLE_NETWORK)
def test_every_option_of_the_network_makes_another_network(name):
    alternatives = [of_depth(2, **{name: option}) for option in SPACE.choices[name]]
    for one, other in itertools.combinations(alternatives, 2):
        assert one.key != other.key
        assert not are_the_same(one, other)


@pytest.mark.parametrize("name", layer_choices(3))
def test_every_option_of_a_layer_makes_another_network(name):
    alternatives = [of_depth(3, **{name: option}) for option in SPACE.choices[name]]
    for one, other in itertools.combinations(alternatives, 2):
        assert one.key != other.key
        assert not are_the_same(one, other)


def test_every_depth_makes_another_network():
    for one, other in itertools.pairwise(map(of_depth, SPACE.choices["depth"])):
        assert one.key != other.key
        assert not are_the_same(one, other)


@pytest.mark.parametrize("halve", SPACE.choices["halve"])
@pytest.mark.parametrize("unlike", ["width_1", "width_3"])
def test_a_residual_makes_another_network_where_two_widths_match(unlike, halve):
    with_one, without = (
        of_depth(3, residual=residual, halve=halve, **{unlike: 24}) for residual in (True, False)
    )
    assert with_one.key != without.key
    assert not are_the_same(with_one, without)


def test_a_residual_is_dropped_where_no_two_consecutive_widths_match():
    widths = {"width_1": 16, "width_2": 24, "width_3": 16}
    with_one, without = (
        of_depth(3, residual=residual, width_4=16, **widths) for residual in (True, False)
    )
    assert with_one == without
    assert with_one.choices["residual"] is False
    as_written = Architecture(SPACE.name, BASE | {"depth": 3, "residual": True} | widths)
    assert are_the_same(as_written, without)


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_layers_beyond_the_depth_are_dropped(data):
    options = {name: st.sampled_from(options) for name, options in SPACE.choices.items()}
    choices = data.draw(st.fixed_dictionaries(options))
    depth = choices["depth"]
    kept = SPACE.architecture(choices).choices
    layers = set(layer_choices(depth))
    assert kept.keys() == layers | {"depth", "residual", *WHOLE_NETWORK}
    assert all(kept[name] == choices[name] for name in layers)
    beyond = {name: options[name] for name in choices.keys() - kept.keys()}
    other = choices | data.draw(st.fixed_dictionaries(beyond))
    assert SPACE.architecture(other).key == SPACE.architecture(choices).key


@settings(max_examples=15, deadline=None)
@given(data=st.data(), seed=seeds)
def test_equal_keys_and_seeds_are_equal_networks(data, seed):
    architecture = SPACE.sample(random.Random(seed))
    dropped = {n: st.sampled_from(o) for n, o in SPACE.choices.items()}
    as_written = data.draw(st.fixed_dictionaries(dropped)) | dict(architecture.choices)
    networks = [build(a, seed=seed) for a in (architecture, Architecture(SPACE.name, as_written))]
    states = [network.state_dict() for network in networks]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    images = torch.randn(4, 1, 16, 16)
    assert torch.equal(networks[0](images), networks[1](images))


@pytest.mark.parametrize(
    ("side", "halvings"), [(8, 1), (16, 2), (28, 3), (32, 3), (48, 4), (64, 4)]
)
def test_the_first_layers_halve_the_image_until_about_four_pixels_are_left(side, halvings):
    assert halvings_of(side) == halvings
    assert 3 <= side / 2**halvings <= 6
    for halve in SPACE.choices["halve"]:
        features = build(of_depth(MAX_DEPTH, halve=halve), (1, side, side))[:-2]
        sides, images = [], torch.randn(1, 1, side, side)
        for block in features:
            images = block(images)
            sides.append(images.shape[-1])
        assert sides[halvings - 1] == sides[-1] == math.ceil(side / 2**halvings)


@pytest.mark.parametrize("side", [8, 28, 33, 64])
@pytest.mark.parametrize("depth", SPACE.choices["depth"])
def test_chains_of_every_depth_end_at_about_four_pixels(depth, side):
    for halve in SPACE.choices["halve"]:
        features = build(of_depth(depth, halve=halve), (1, side, side))[:-2]
        assert features(torch.randn(1, 1, side, side)).shape[-1] == math.ceil(
            side / 2 ** halvings_of(side)
        )


@settings(max_examples=12, deadline=None)
@given(
    seed=seeds,
    channels=st.sampled_from([1, 3]),
    height=st.integers(8, 64),
    width=st.integers(8, 64),
    classes=st.integers(2, 100),
)
def test_it_learns_from_images_of_every_size_and_any_number_of_classes(
    seed, channels, height, width, classes
):
    shape = (channels, height, width)
    network = build(SPACE.sample(random.Random(seed)), shape, classes, seed)
    rng = torch.Generator().manual_seed(seed)
    images = torch.randn(32, *shape, generator=rng)
    labels = torch.randint(classes, (32,), generator=rng)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.5)
    losses = []
    for _ in range(4):
        logits = network(images)
        assert logits.shape == (32, classes)
        loss = F.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(map(math.isfinite, losses))
    assert min(losses[1:]) < losses[0]
