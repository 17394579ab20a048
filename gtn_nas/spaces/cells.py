"""Types for networks of stacked cells: the network's size, and the links and nodes of a cell."""

from __future__ import annotations

from typing import NamedTuple


class MacroSize(NamedTuple):
    """Size of a network of three stages of cells."""

    channels: int
    """Channels of the first stage; the second stage has twice, the third four times as many."""
    cells_per_stage: int


PROXY_SIZE = MacroSize(channels=8, cells_per_stage=1)
"""Size of the networks at scale ``proxy``."""

INPUTS = 2
"""Inputs of a cell: 0 is the output of the cell before the previous one, 1 of the previous one."""


class Link(NamedTuple):
    """An operation, and the number of the cell's input or node to which it is applied."""

    source: int
    operation: str


Node = tuple[Link, Link]
"""A node is the sum of the outputs of two links."""
Cell = tuple[Node, ...]
"""The nodes of a cell in order; a node reads the cell's inputs and earlier nodes."""
