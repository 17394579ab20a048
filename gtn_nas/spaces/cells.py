"""Networks of stacked cells: their size, and the links of which a cell can consist."""

from __future__ import annotations

from typing import NamedTuple


class MacroSize(NamedTuple):
    """Size of the skeleton that the cells are put into."""

    channels: int
    """Channels of the first stage; the second has twice, the third four times as many."""
    cells_per_stage: int


PROXY_SIZE = MacroSize(channels=8, cells_per_stage=1)
"""Of the networks that are ranked."""

INPUTS = 2
"""0 is what the cell before the previous one put out, 1 what the previous cell did."""


class Link(NamedTuple):
    """An operation and the number of the input or node that it reads."""

    source: int
    operation: str


Node = tuple[Link, Link]
"""A node is the sum of two links."""
Cell = tuple[Node, ...]
"""The nodes of a cell, each of which reads inputs and nodes before it."""
