import csv
import gzip
import itertools
from collections import defaultdict

import pytest
import torch

from gtn_nas.architecture import Architecture
from gtn_nas.errors import ConfigError, UnknownNameError
from gtn_nas.spaces.cells import MacroSize
from gtn_nas.spaces.nas_bench_201 import EDGES, OPERATIONS, NasBench201, live_edges
from gtn_nas.spaces.nas_bench_201_layers import CellNetwork

SPACE = NasBench201()
NAMES = list(SPACE.choices)
DEAD = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"


def uncanonical(cell):
    return Architecture(SPACE.name, dict(zip(NAMES, cell, strict=True)))


def cell_of(text):
    """Split a string into its six operations, independently of the code under test."""
    return tuple(part.split("~")[0] for part in text.replace("+", "").split("|") if part)


def params(network):
    return sum(p.numel() for p in network.parameters())


@pytest.fixture(scope="module")
def all_cells():
    return list(itertools.product(OPERATIONS, repeat=len(EDGES)))


def test_the_space_has_15625_cells_in_6466_classes(all_cells):
    canonical = {cell: SPACE.canonical(uncanonical(cell)) for cell in all_cells}
    assert len(canonical) == 15_625
    assert len({a.key for a in canonical.values()}) == 6_466
    assert all(SPACE.canonical(a) == a for a in canonical.values())


def test_the_partition_is_the_published_one(dev_data):
    published, ours = defaultdict(set), defaultdict(set)
    with gzip.open(dev_data / "nas_bench_201" / "isomorphism_classes.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            published[row["isomorphism_class"]].add(row["arch"])
            ours[SPACE.from_string(row["arch"]).key].add(row["arch"])
    assert set(map(frozenset, ours.values())) == set(map(frozenset, published.values()))


def test_the_canonical_cell_belongs_to_its_own_class(all_cells):
    for cell in all_cells[::7]:
        text = SPACE.to_string(uncanonical(cell))
        assert SPACE.from_string(text) == SPACE.canonical(uncanonical(cell))


def test_keys_do_not_change_between_releases():
    text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|none~2|"
    assert SPACE.from_string(text).key == "9a772b3b76b89b50"


def test_a_string_is_read_edge_by_edge():
    text = "|nor_conv_3x3~0|+|skip_connect~0|avg_pool_3x3~1|+|none~0|nor_conv_1x1~1|nor_conv_3x3~2|"
    architecture = SPACE.from_string(text)
    assert dict(architecture.choices) == {
        "edge_1_0": "nor_conv_3x3",
        "edge_2_0": "skip_connect",
        "edge_2_1": "avg_pool_3x3",
        "edge_3_0": "none",
        "edge_3_1": "nor_conv_1x1",
        "edge_3_2": "nor_conv_3x3",
    }
    assert SPACE.to_string(architecture) == text


@pytest.mark.parametrize(
    "text", ["", "|none~0|", DEAD[:-1], DEAD + "|", DEAD.replace("~2", "~1"), DEAD + DEAD]
)
def test_a_malformed_string_is_refused(text):
    with pytest.raises(ConfigError, match="no NAS-Bench-201 cell"):
        SPACE.from_string(text)


def test_an_unknown_operation_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="'nor_conv_3x4'; did you mean nor_conv_3x3"):
        SPACE.from_string(DEAD.replace("none~1", "nor_conv_3x4~1"))


@pytest.mark.parametrize("change", [{}, dict.fromkeys(NAMES, "conv")])
def test_missing_or_unknown_choices_are_refused(change):
    with pytest.raises(ConfigError, match="edge_1_0"):
        SPACE.canonical(Architecture(SPACE.name, change))


@pytest.mark.parametrize(
    ("text", "live"),
    [
        (DEAD, set()),
        # Node 2 gets something, but nothing reads it.
        (
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|none~0|skip_connect~1|none~2|",
            {(1, 0), (3, 1)},
        ),
        # Node 1 is read, but gets nothing.
        (
            "|none~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|none~0|skip_connect~1|skip_connect~2|",
            {(2, 0), (3, 2)},
        ),
        (
            "|none~0|+|none~0|nor_conv_1x1~1|+|none~0|nor_conv_3x3~1|skip_connect~2|",
            set(),
        ),
    ],
)
def test_only_edges_between_input_and_output_are_live(text, live):
    assert set(live_edges(cell_of(text))) == live


def literal_network(text):
    """The network of the cell as written, whatever its canonical form."""
    edges = {e: op for e, op in zip(EDGES, cell_of(text), strict=True) if op != "none"}
    return CellNetwork(edges, 3, 10, channels=4, cells_per_stage=1), list(edges)


@pytest.mark.parametrize(
    ("text", "equal", "moved"),
    [
        # The input reaches the last convolution directly or over a skip.
        (
            "|skip_connect~0|+|none~0|nor_conv_1x1~1|+|none~0|nor_conv_3x3~1|skip_connect~2|",
            "|skip_connect~0|+|none~0|nor_conv_1x1~1|+|nor_conv_3x3~0|none~1|skip_connect~2|",
            {(2, 1): (2, 1), (3, 1): (3, 0)},
        ),
    ],
)
def test_members_of_a_class_compute_the_same_as_written(text, equal, moved):
    assert text != equal
    torch.manual_seed(0)
    (network, edges), (other, other_edges) = literal_network(text), literal_network(equal)
    new_place = {edges.index(a): other_edges.index(b) for a, b in moved.items()}

    def renamed(name):
        head, found, tail = name.partition(".layers.")
        old, _, rest = tail.partition(".")
        return f"{head}.layers.{new_place[int(old)]}.{rest}" if found else name

    other.load_state_dict({renamed(n): v for n, v in network.state_dict().items()})
    images = torch.randn(4, 3, 8, 8)
    torch.testing.assert_close(network(images), other(images))
    assert SPACE.from_string(text).key == SPACE.from_string(equal).key


def test_the_representative_gives_equal_convolutions_weights_of_their_own():
    shared = "|nor_conv_1x1~0|+|none~0|skip_connect~1|+|none~0|skip_connect~1|skip_connect~2|"
    own = "|nor_conv_1x1~0|+|nor_conv_1x1~0|none~1|+|none~0|skip_connect~1|skip_connect~2|"
    assert SPACE.from_string(shared).key == SPACE.from_string(own).key
    cell = cell_of(SPACE.to_string(SPACE.from_string(shared)))
    assert list(live_edges(cell).values()).count("nor_conv_1x1") == 2


def test_a_cell_without_a_path_gives_the_same_logits_for_every_image():
    logits = SPACE.build(SPACE.from_string(DEAD), (3, 8, 8), 10)(torch.randn(4, 3, 8, 8))
    torch.testing.assert_close(logits, logits[:1].expand_as(logits))


def test_the_final_network_has_the_published_number_of_parameters(dev_data):
    compared = 0
    with (dev_data / "nas_bench_201" / "cells_dev.csv").open() as file:
        for row in itertools.islice(csv.DictReader(file), 0, None, 40):
            architecture = SPACE.from_string(row["arch"])
            live = live_edges(cell_of(row["arch"]))
            # The published count includes the weights of dead edges.
            if SPACE.to_string(architecture) == row["arch"] and len(live) == sum(
                op != "none" for op in cell_of(row["arch"])
            ):
                with torch.device("meta"):
                    network = SPACE.build(architecture, (3, 32, 32), 10, "final")
                assert params(network) / 1e6 == pytest.approx(
                    float(row["params_millions"]), abs=1e-4
                )
                compared += 1
    assert compared > 20


def test_the_sizes_can_be_chosen():
    small, large = MacroSize(channels=4, cells_per_stage=1), MacroSize(6, 2)
    space = NasBench201(proxy=small, final=large)
    architecture = space.from_string(DEAD.replace("none~2", "skip_connect~2"))
    proxy, final = (space.build(architecture, (1, 8, 8), 3, s) for s in ("proxy", "final"))
    assert proxy.classifier.in_features == 16
    assert final.classifier.in_features == 24
    assert len(proxy.body) == 3 + 2
    assert len(final.body) == 6 + 2
