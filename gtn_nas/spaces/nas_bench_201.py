"""NAS-Bench-201: one cell of four nodes and six edges, stacked in three stages.

Dong & Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search", 2020,
arXiv 2001.00326, section 2.1.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from gtn_nas.architecture import Architecture
from gtn_nas.errors import ConfigError, UnknownNameError
from gtn_nas.spaces.base import Scale, SearchSpace
from gtn_nas.spaces.cells import PROXY_SIZE, MacroSize

if TYPE_CHECKING:
    from torch import nn

OPERATIONS = ("none", "avg_pool_3x3", "skip_connect", "nor_conv_1x1", "nor_conv_3x3")
"""Operations of an edge; their order decides which cell represents a class of isomorphic cells.

The first cell of a class represents it. Therefore dead edges become ``none``, and equal
convolutions keep separate weights instead of sharing one convolution through skip connections.
15,176 of the 15,625 cells build exactly the network of their representative; no other choice of
representatives reaches more.
"""

EDGES = ((1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2))
"""Edges as (target node, source node), in the order of NAS-Bench-201's cell strings."""

_NAMES = tuple(f"edge_{target}_{source}" for target, source in EDGES)
_STRING = re.compile(r"\|OP~0\|\+\|OP~0\|OP~1\|\+\|OP~0\|OP~1\|OP~2\|".replace("OP", "([^|~]*)"))

Cell = tuple[str, ...]
"""The operations of the six edges, in the order of ``EDGES``."""


PUBLISHED_SIZE = MacroSize(channels=16, cells_per_stage=5)
"""Size of the networks that NAS-Bench-201 trained."""


class NasBench201(SearchSpace):
    """The 15,625 cells of NAS-Bench-201, merged into 6,466 classes of isomorphic cells.

    The classes are those that NAS-Bench-201 publishes. They compare cells as expressions, which
    differs from equality of networks in two ways. First, some equal networks are in different
    classes: a node whose inputs are all dead counts as dead only if it has a single input, a live
    sum keeps its dead summands, and sums of sums are not flattened. Second, 430 classes contain
    both cells that use the output of one convolution twice and cells with two such convolutions;
    here, all cells of a class build the network of its representative.

    Args:
        proxy: size of the networks at scale ``proxy``.
        final: size of the networks that are fully trained; by default the published size.
    """

    name = "nas_bench_201"
    choices = MappingProxyType(dict.fromkeys(_NAMES, OPERATIONS))

    def __init__(self, proxy: MacroSize = PROXY_SIZE, final: MacroSize = PUBLISHED_SIZE) -> None:
        self.sizes: Mapping[Scale, MacroSize] = {"proxy": proxy, "final": final}

    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the first cell, in the order of ``OPERATIONS``, that is isomorphic to this one.

        Raises:
            ConfigError: an edge lacks an operation, or its operation is unknown.
        """
        choices = architecture.choices
        try:
            return _representatives()[tuple(choices[name] for name in _NAMES)]
        except KeyError:
            raise ConfigError(
                f"{self.name} needs one of {', '.join(OPERATIONS)} for each of "
                f"{', '.join(_NAMES)}; got {architecture.to_json()}"
            ) from None

    def build(
        self,
        architecture: Architecture,
        input_shape: tuple[int, int, int],
        num_classes: int,
        scale: Scale = "proxy",
    ) -> nn.Module:
        """Build the network of the canonical cell; see ``SearchSpace.build``.

        Any image size works; each stage after the first halves height and width, rounding up.
        """
        from gtn_nas.spaces.nas_bench_201_layers import CellNetwork

        edges = live_edges(_cell_of(self.canonical(architecture)))
        return CellNetwork(edges, input_shape[0], num_classes, *self.sizes[scale])

    def from_string(self, text: str) -> Architecture:
        """Read a cell in NAS-Bench-201's own notation, ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``.

        Returns:
            The canonical architecture; its own string can differ from ``text``.

        Raises:
            ConfigError: the text is not in this notation, or names an unknown operation.
        """
        match = _STRING.fullmatch(text.strip())
        if match is None:
            raise ConfigError(
                f"{text!r} is no NAS-Bench-201 cell; write |op~0|+|op~0|op~1|+|op~0|op~1|op~2|"
            )
        for operation in match.groups():
            if operation not in OPERATIONS:
                raise UnknownNameError("NAS-Bench-201 operation", operation, OPERATIONS)
        return self.architecture(dict(zip(_NAMES, match.groups(), strict=True)))

    def to_string(self, architecture: Architecture) -> str:
        """Write the canonical cell in NAS-Bench-201's own notation."""
        operations = iter(_cell_of(self.canonical(architecture)))
        return "+".join(
            "|" + "".join(f"{next(operations)}~{source}|" for source in range(target))
            for target in (1, 2, 3)
        )


def live_edges(cell: Cell) -> dict[tuple[int, int], str]:
    """Return the operations on the paths from the input, node 0, to the output, node 3."""
    edges = {e: op for e, op in zip(EDGES, cell, strict=True) if op != "none"}
    reached = {0}
    for target, source in edges:  # ordered by target
        if source in reached:
            reached.add(target)
    needed = {3}
    for target, source in sorted(edges, key=lambda edge: -edge[0]):
        if target in needed:
            needed.add(source)
    return {(t, s): op for (t, s), op in edges.items() if s in reached and t in needed}


def _cell_of(architecture: Architecture) -> Cell:
    return tuple(str(architecture.choices[name]) for name in _NAMES)


@functools.cache
def _representatives() -> Mapping[tuple[object, ...], Architecture]:
    """Map every cell to the canonical architecture of its class (computed once, about 0.1 s)."""
    first: dict[str, Architecture] = {}
    table: dict[tuple[object, ...], Architecture] = {}
    for cell in itertools.product(OPERATIONS, repeat=len(EDGES)):
        expression = _expression(cell)
        if expression not in first:
            choices = dict(zip(_NAMES, cell, strict=True))
            first[expression] = Architecture(NasBench201.name, choices)
        table[cell] = first[expression]
    return table


def _expression(cell: Cell) -> str:
    """Write the output node as an expression in the input node ``0``, equal for isomorphic cells.

    The notation is that of NAS-Bench-201's published classes: ``(x)@op`` is an operation on ``x``,
    ``#`` is a dead input, and a node is the sum of its inputs in sorted order.
    """
    operations = iter(cell)
    nodes = ["0"]
    for _ in range(3):
        inputs = [_apply(next(operations), node) for node in nodes]
        nodes.append("+".join(sorted(inputs)))
    return nodes[-1]


def _apply(operation: str, node: str) -> str:
    if operation == "none" or node == "#":
        return "#"
    return node if operation == "skip_connect" else f"({node})@{operation}"
