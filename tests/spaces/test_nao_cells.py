import itertools
import math
import random

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gtn_nas.architecture import Architecture
from gtn_nas.errors import ConfigError
from gtn_nas.spaces.cells import Link, MacroSize
from gtn_nas.spaces.nao_cells import CELLS, NODES, OPERATIONS, NaoCells
from gtn_nas.spaces.nao_cells_layers import Cell, CellNetwork, Unread, operation_layer

SPACE = NaoCells()
INPUTS = (0, 1)

many = settings(max_examples=100, deadline=None)
few = settings(max_examples=8, deadline=None)
seeds = st.integers(0, 2**31 - 1)
links = {n: st.builds(Link, st.integers(0, n - 1), st.sampled_from(OPERATIONS)) for n in NODES}
cells = st.tuples(*(st.tuples(links[n], links[n]) for n in NODES))


def as_written(normal, reduction):
    """The architecture of two cells in their own numbering, which need not be the canonical one."""
    choices = {}
    for name, cell in zip(CELLS, (normal, reduction), strict=True):
        for node, pair in zip(NODES, cell, strict=True):
            for letter, link in zip("ab", pair, strict=True):
                choices[f"{name}_{node}_input_{letter}"] = link.source
                choices[f"{name}_{node}_op_{letter}"] = link.operation
    return Architecture(SPACE.name, choices)


def architecture(normal, reduction=None):
    return SPACE.canonical(as_written(normal, reduction or normal))


def cell_of(*pairs, operation="conv_3x3"):
    """A cell by the two sources of each node."""
    return tuple((Link(a, operation), Link(b, operation)) for a, b in pairs)


def chain(operation, sources=(0, 1)):
    """A cell whose every node reads the one before it, twice."""
    return cell_of(sources, *((n, n) for n in NODES[:-1]), operation=operation)


def renumbered(cell, order):
    """Number the nodes by their place in ``order``; ``None`` if one would read a later one."""
    new = {old: number for number, old in enumerate((*INPUTS, *order))}
    nodes = [tuple(Link(new[s], op) for s, op in cell[old - NODES[0]]) for old in order]
    if all(s < n for n, pair in zip(NODES, nodes, strict=True) for s, _ in pair):
        return tuple(nodes)
    return None


def numberings(cell):
    """All orders of the nodes that some numbering of an isomorphic cell has."""
    return [order for order in itertools.permutations(NODES) if renumbered(cell, order)]


def isomorphic(one, other):
    """Whether some numbering of one cell makes it the other, whatever the order of links."""
    unordered = [sorted(pair) for pair in other]
    return any(
        [sorted(pair) for pair in renumbered(one, order)] == unordered for order in numberings(one)
    )


def swapped(cell, swaps):
    return tuple(pair[::-1] if swap else pair for pair, swap in zip(cell, swaps, strict=True))


def params(network):
    return sum(p.numel() for p in network.parameters())


def build(of, shape=(3, 8, 8), classes=10, scale="proxy", seed=0):
    torch.manual_seed(seed)
    return SPACE.build(of, shape, classes, scale)


# which cells are one


@many
@given(data=st.data(), normal=cells, reduction=cells)
def test_neither_numbers_of_nodes_nor_the_order_of_links_change_the_key(data, normal, reduction):
    others = []
    for cell in (normal, reduction):
        order = data.draw(st.sampled_from(numberings(cell)))
        swaps = data.draw(st.tuples(*[st.booleans()] * len(NODES)))
        others.append(swapped(renumbered(cell, order), swaps))
    assert architecture(*others).key == architecture(normal, reduction).key


@many
@given(data=st.data(), cell=cells)
def test_keys_are_equal_exactly_where_cells_are_isomorphic(data, cell):
    other = list(swapped(renumbered(cell, data.draw(st.sampled_from(numberings(cell)))), [1] * 5))
    changed = data.draw(st.sampled_from(NODES))
    if data.draw(st.booleans()):
        other[changed - NODES[0]] = (data.draw(links[changed]), other[changed - NODES[0]][1])
    same = architecture(cell, cell).key == architecture(other, cell).key
    assert same == isomorphic(cell, other)


def test_the_two_cells_and_their_two_inputs_are_told_apart():
    one, other = chain("conv_1x1", (0, 0)), chain("conv_1x1", (1, 1))
    keys = {architecture(*pair).key for pair in itertools.product((one, other), repeat=2)}
    assert len(keys) == 4


def test_a_node_read_twice_is_not_two_equal_nodes():
    shared = cell_of((0, 1), (0, 1), (2, 2), (2, 3), (5, 5))
    apart = cell_of((0, 1), (0, 1), (2, 2), (2, 2), (5, 5))
    assert architecture(shared).key != architecture(apart).key


def test_keys_do_not_change_between_releases():
    cell = cell_of((0, 1), (0, 0), (3, 1), (2, 4), (3, 3), operation="max_pool_2x2")
    assert architecture(cell, chain("identity")).key == "a53eda8a6b5b044e"


def test_a_missing_choice_is_named():
    choices = dict(architecture(chain("identity")).choices)
    del choices["normal_4_op_b"]
    with pytest.raises(ConfigError, match="'normal_4_op_b' is missing"):
        SPACE.architecture(choices)


@few
@given(data=st.data(), cell=cells, reduction=cells, seed=seeds)
def test_isomorphic_cells_compute_the_same(data, cell, reduction, seed):
    orders = [data.draw(st.sampled_from(numberings(c))) for c in (cell, reduction)]
    pairs = [renumbered(c, o) for c, o in zip((cell, reduction), orders, strict=True)]
    torch.manual_seed(seed)
    one = CellNetwork(cell, reduction, 3, 10, channels=4, cells_per_stage=1)
    other = CellNetwork(*pairs, 3, 10, channels=4, cells_per_stage=1)
    assert params(one) == params(other)
    copy_weights(one, other, orders)
    # Double precision, since the order of a sum's terms differs.
    images = torch.randn(4, 3, 9, 12, dtype=torch.double)
    torch.testing.assert_close(one.double()(images), other.double()(images))


def copy_weights(one, other, orders):
    """Give ``other``, whose nodes are those of ``one`` in the given orders, the same weights."""
    other.stem.load_state_dict(one.stem.state_dict())
    other.classifier.load_state_dict(one.classifier.state_dict())
    for index, (source, target) in enumerate(zip(one.cells, other.cells, strict=True)):
        if isinstance(source, Unread):
            assert isinstance(target, Unread)
            continue
        order = orders[index % 2]  # normal and reduction cells take turns
        target.calibrations.load_state_dict(source.calibrations.state_dict())
        target.join.load_state_dict(source.join.state_dict())
        weights = source.join[1].weight.chunk(len(source.loose), 1)
        blocks = dict(zip(source.loose, weights, strict=True))
        joined = [blocks[old] for old in order if old in blocks]
        target.join[1].weight = nn.Parameter(torch.cat(joined, 1).detach())
        for new, old in enumerate(order):
            for link in (0, 1):
                state = source.layers[2 * (old - NODES[0]) + link].state_dict()
                target.layers[2 * new + link].load_state_dict(state)


# networks


@pytest.mark.parametrize("side", [8, 9, 2, 1])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_keeps_the_channels_and_strides_round_up(operation, stride, side):
    output = operation_layer(operation, 5, stride)(torch.randn(2, 5, side, side + 1))
    assert output.shape == (2, 5, math.ceil(side / stride), math.ceil((side + 1) / stride))


@pytest.mark.parametrize("side", [7, 8])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize(("kind", "summary"), [("max", torch.amax), ("avg", torch.mean)])
def test_pooling_sees_what_of_its_window_is_in_the_image(kind, summary, size, stride, side):
    image = torch.randn(1, 1, side, side) - 5  # zeros beyond the edges would be the maximum
    pooled = operation_layer(f"{kind}_pool_{size}x{size}", 1, stride)(image)[0, 0]
    first = -((size - 1) // 2)

    def window(centre):
        return slice(max(0, centre + first), centre + first + size)

    rows = columns = range(0, side, stride)
    by_hand = [[summary(image[0, 0, window(r), window(c)], (0, 1)) for c in columns] for r in rows]
    torch.testing.assert_close(pooled, torch.tensor(by_hand))


@pytest.mark.parametrize("operation", ["identity", "conv_1x3_3x1", "conv_1x7_7x1"])
def test_an_operation_that_halves_sees_every_pixel(operation):
    image = torch.randn(2, 4, 6, 6).abs().requires_grad_()
    operation_layer(operation, 4, 2).eval()(image).sum().backward()
    seen = image.grad.abs().sum((0, 1)) > 0
    on_odd_rows = operation != "identity"
    assert seen[::2, ::2].all()
    assert seen[1::2, 1::2].all()
    assert seen[1::2, ::2].all() == on_odd_rows


def test_an_unknown_operation_is_refused():
    with pytest.raises(ValueError, match="conv_9x9_9x9_9x9"):
        operation_layer("conv_9x9_9x9_9x9", 4, 1)


@pytest.mark.parametrize(("cell", "loose"), [(cell_of(*[(0, 1)] * 5), 5), (chain("conv_1x1"), 1)])
def test_the_nodes_that_no_node_reads_are_the_output(cell, loose):
    normal, *_ = SPACE.build(architecture(cell), (3, 8, 8), 10).cells
    assert normal.join[1].in_channels == loose * normal.join[1].out_channels


def test_the_number_of_parameters_is_the_one_counted_by_hand():
    def conv_and_norm(channels_in, channels_out, kernel=1):
        return channels_in * channels_out * kernel**2 + 2 * channels_out

    def cell(channels):
        return 10 * conv_and_norm(channels, channels, 3) + conv_and_norm(channels, channels)

    c = 12
    normal_cells = cell(c) + cell(2 * c) + cell(4 * c)
    reduction_cells = cell(2 * c) + cell(4 * c)
    # Of the two inputs of a reduction cell, and the first input of the normal cell after it.
    calibrations = 3 * conv_and_norm(c, 2 * c) + 3 * conv_and_norm(2 * c, 4 * c)
    ends = conv_and_norm(3, c, 3) + 4 * c * 10 + 10
    space = NaoCells(proxy=MacroSize(channels=c, cells_per_stage=1))
    network = space.build(architecture(chain("conv_3x3")), (3, 8, 8), 10)
    assert params(network) == normal_cells + reduction_cells + calibrations + ends


def test_cells_that_nothing_reads_are_left_out():
    skipping = chain("conv_1x1", (0, 0))
    network = build(architecture(skipping, chain("conv_3x3")))
    assert [type(c) for c in network.cells] == [Cell, Unread, Cell, Unread, Cell]
    network(torch.randn(2, 3, 8, 8)).sum().backward()
    assert all(p.grad is not None for p in network.parameters())
    # A final network of six cells a stage does read its second reduction cell.
    final = build(architecture(skipping, chain("conv_3x3")), scale="final")
    assert isinstance(final.cells[13], Cell)
    assert final.cells[13].output.halvings == 2


def test_each_reduction_halves_the_image():
    network = build(architecture(chain("max_pool_3x3")), (1, 17, 30))
    before_last = last = network.stem(torch.randn(2, 1, 17, 30))
    shapes = []
    for cell in network.cells:
        before_last, last = last, cell(before_last, last)
        shapes.append(tuple(last.shape[1:]))
    assert shapes == [(8, 17, 30), (16, 9, 15), (16, 9, 15), (32, 5, 8), (32, 5, 8)]


def test_the_sizes_can_be_chosen():
    space = NaoCells(proxy=MacroSize(channels=4, cells_per_stage=1), final=MacroSize(6, 2))
    of = architecture(chain("identity"))
    proxy, final = (space.build(of, (1, 8, 8), 3, scale) for scale in ("proxy", "final"))
    assert (len(proxy.cells), proxy.classifier.in_features) == (3 + 2, 16)
    assert (len(final.cells), final.classifier.in_features) == (6 + 2, 24)


@few
@given(
    seed=seeds,
    channels=st.sampled_from([1, 3]),
    height=st.integers(8, 20),
    width=st.integers(8, 20),
    classes=st.integers(2, 100),
)
def test_it_learns_from_images_of_every_size_and_any_number_of_classes(
    seed, channels, height, width, classes
):
    shape = (channels, height, width)
    network = build(SPACE.sample(random.Random(seed)), shape, classes, seed=seed)
    rng = torch.Generator().manual_seed(seed)
    images = torch.randn(16, *shape, generator=rng)
    labels = torch.randint(classes, (16,), generator=rng)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
    losses = []
    for _ in range(3):
        logits = network(images)
        assert logits.shape == (16, classes)
        loss = F.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(map(math.isfinite, losses))
    assert min(losses[1:]) < losses[0]
