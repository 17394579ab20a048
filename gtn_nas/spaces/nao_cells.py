"""The search space of NAO, ENAS and the GTN paper: a normal and a reduction cell.

Such et al. 2019, arXiv 1912.07768, search in the space of Luo et al. 2018, "Neural Architecture
Optimization", arXiv 1808.07233: the cells of ENAS (Pham et al. 2018, arXiv 1802.03268, section 2.3)
with eleven operations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from gtn_nas.architecture import Architecture, Choice
from gtn_nas.spaces.base import Scale, SearchSpace
from gtn_nas.spaces.cells import INPUTS, PROXY_SIZE, Cell, Link, MacroSize

if TYPE_CHECKING:
    from torch import nn

OPERATIONS = (
    "identity",
    "conv_1x1",
    "conv_3x3",
    "conv_1x3_3x1",
    "conv_1x7_7x1",
    "max_pool_2x2",
    "max_pool_3x3",
    "max_pool_5x5",
    "avg_pool_2x2",
    "avg_pool_3x3",
    "avg_pool_5x5",
)
CELLS = ("normal", "reduction")
NODES = range(INPUTS, INPUTS + 5)
"""Numbers of a cell's nodes; they follow the numbers of its inputs."""

FINAL_SIZE = MacroSize(channels=36, cells_per_stage=6)


class NaoCells(SearchSpace):
    """A normal and a reduction cell of five nodes; a node is the sum of two operations.

    There are eleven operations. The choice ``normal_4_input_a`` is what node 4 of the normal cell
    reads with its link ``a``: 0 is the output of the cell before the previous one, 1 the output of
    the previous cell, and 2 or more is a node of smaller number. Nodes that no other node reads
    form the cell's output. Three stages of normal cells are separated by two reduction cells.
    Cells that differ only in the order of a node's two links, or in the numbering of the nodes,
    have the same canonical form.

    Args:
        proxy: size of the networks at scale ``proxy``.
        final: size of the networks that are fully trained. The default, six cells in each stage
            and 36 channels, is our choice: about 6 million parameters.
    """

    name = "nao_cells"
    choices: Mapping[str, tuple[Choice, ...]] = MappingProxyType(
        {
            f"{cell}_{node}_{part}_{link}": tuple(range(node)) if part == "input" else OPERATIONS
            for cell in CELLS
            for node in NODES
            for link in "ab"
            for part in ("input", "op")
        }
    )

    def __init__(self, proxy: MacroSize = PROXY_SIZE, final: MacroSize = FINAL_SIZE) -> None:
        self.sizes: Mapping[Scale, MacroSize] = {"proxy": proxy, "final": final}

    def canonical(self, architecture: Architecture) -> Architecture:
        """Number the nodes and order their links such that isomorphic cells become equal."""
        choices: dict[str, Choice] = {}
        for name in CELLS:
            for number, node in enumerate(_first(_cell_of(architecture, name)), INPUTS):
                for letter, link in zip("ab", node, strict=True):
                    choices[f"{name}_{number}_input_{letter}"] = link.source
                    choices[f"{name}_{number}_op_{letter}"] = link.operation
        return Architecture(self.name, choices)

    def build(
        self,
        architecture: Architecture,
        input_shape: tuple[int, int, int],
        num_classes: int,
        scale: Scale = "proxy",
    ) -> nn.Module:
        """Build the network of the canonical cells; see ``SearchSpace.build``.

        Any image size works; a reduction cell halves height and width, rounding up.
        """
        from gtn_nas.spaces.nao_cells_layers import CellNetwork

        canonical = self.canonical(architecture)
        normal, reduction = (_cell_of(canonical, name) for name in CELLS)
        return CellNetwork(normal, reduction, input_shape[0], num_classes, *self.sizes[scale])


def _cell_of(architecture: Architecture, name: str) -> Cell:
    chosen = architecture.choices

    def link(node: int, letter: str) -> Link:
        source = chosen[f"{name}_{node}_input_{letter}"]
        return Link(int(source or 0), str(chosen[f"{name}_{node}_op_{letter}"]))

    return tuple((link(node, "a"), link(node, "b")) for node in NODES)


def _first(cell: Cell) -> Cell:
    """Return the first of all isomorphic cells, ordered by their operations, then by inputs.

    If they were ordered by inputs first, a node that reads only input 0 would hardly ever be last.
    """

    def rank(cell: Cell) -> tuple[list[str], Cell]:
        return [link.operation for node in cell for link in node], cell

    return min((_renumbered(cell, order) for order in _orders(cell)), key=rank)


def _orders(cell: Cell, placed: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """Yield all orders of the nodes' numbers in which every node follows the nodes it reads."""
    if len(placed) == len(cell):
        yield placed
    for number, node in enumerate(cell, INPUTS):
        known = {*range(INPUTS), *placed}
        if number not in placed and known.issuperset(link.source for link in node):
            yield from _orders(cell, (*placed, number))


def _renumbered(cell: Cell, order: tuple[int, ...]) -> Cell:
    """Number the nodes by their place in ``order``, and sort the two links of each node."""
    new = {old: number for number, old in enumerate((*range(INPUTS), *order))}
    nodes = []
    for old in order:
        a, b = sorted(Link(new[s], operation) for s, operation in cell[old - INPUTS])
        nodes.append((a, b))
    return tuple(nodes)
