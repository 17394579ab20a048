"""The network and the layers of the NAO and ENAS cells (arXiv 1802.03268, section 2.3)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gtn_nas.spaces.cell_layers import relu_conv_bn, stem
from gtn_nas.spaces.cells import INPUTS
from gtn_nas.spaces.cells import Cell as Nodes
from gtn_nas.spaces.draws import Draws


class Maps(NamedTuple):
    """Shape of feature maps: number of channels, and how often height and width were halved."""

    channels: int
    halvings: int


def operation_layer(operation: str, channels: int, stride: int) -> nn.Module:
    """Make the layer of one operation on ``(N, channels, H, W)``; a stride of two rounds up."""
    match operation.split("_"):
        case ["identity"]:
            return nn.Identity() if stride == 1 else FactorisedReduction(channels, channels)
        case ["conv", size]:
            return relu_conv_bn(channels, channels, int(size[0]), stride)
        case ["conv", size, _]:
            return separated_conv(channels, int(size[-1]), stride)
        case [kind, "pool", size]:
            return pool(kind, int(size[0]), stride)
    raise ValueError(f"no layer for operation {operation!r}")


def separated_conv(channels: int, kernel: int, stride: int) -> nn.Module:
    """Return ReLU, a ``1 x kernel`` and a ``kernel x 1`` convolution, and batch norm."""
    side = kernel // 2
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, (1, kernel), (1, stride), (0, side), bias=False),
        nn.Conv2d(channels, channels, (kernel, 1), (stride, 1), (side, 0), bias=False),
        nn.BatchNorm2d(channels),
    )


def pool(kind: str, kernel: int, stride: int) -> nn.Module:
    """Return a pooling layer that keeps the size at stride one and rounds up at stride two.

    Windows are cut off at the image's edges: the average does not count padding.
    """
    layer = nn.MaxPool2d if kind == "max" else partial(nn.AvgPool2d, count_include_pad=False)
    if kernel % 2:
        return layer(kernel, stride, padding=kernel // 2)
    # A window of two pixels has no centre: it starts at its own pixel; the last one is cut off.
    if stride == 2:
        return layer(kernel, stride, ceil_mode=True)
    return nn.Sequential(layer(kernel, stride, padding=1), WithoutFirst())


class WithoutFirst(nn.Module):
    """Removes the first row and the first column."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, C, H + 1, W + 1)`` to ``(N, C, H, W)``."""
        return x[..., 1:, 1:]


class FactorisedReduction(nn.Module):
    """Halves height and width by two strided 1 x 1 convolutions that read different pixels."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        half = channels_out // 2
        self.even = nn.Conv2d(channels_in, half, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(channels_in, channels_out - half, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, C, H, W)`` to ``(N, C', ceil(H / 2), ceil(W / 2))``."""
        x = F.relu(x)
        moved = F.pad(x, (-1, 1, -1, 1))  # up and to the left by a pixel
        output: Tensor = self.norm(torch.cat([self.even(x), self.odd(moved)], 1))
        return output


def calibration(maps: Maps, wanted: Maps) -> nn.Module:
    """Return a layer that gives a cell's input the channels and the resolution of the cell.

    Args:
        maps: shape of the input.
        wanted: shape inside the cell.
    """
    if maps.halvings < wanted.halvings:
        return FactorisedReduction(maps.channels, wanted.channels)
    if maps.channels != wanted.channels:
        return relu_conv_bn(maps.channels, wanted.channels, 1)
    return nn.Identity()


class Cell(nn.Module):
    """Each node sums the outputs of two operations; the nodes that no node reads are the output.

    A 1 x 1 convolution joins these nodes, even if there is only one: values grow from node to node
    as sums of sums, and the batch norm keeps them from growing from cell to cell.

    Args:
        nodes: the two links of every node.
        inputs: shapes of the outputs of the two cells before.
        reduces: double the channels and halve height and width.
    """

    def __init__(self, nodes: Nodes, inputs: Sequence[Maps], *, reduces: bool) -> None:
        super().__init__()
        self.nodes = nodes
        last = inputs[-1]
        inside = Maps(last.channels * 2 if reduces else last.channels, last.halvings)
        self.output = Maps(inside.channels, inside.halvings + int(reduces))
        self.read = {link.source for node in nodes for link in node}
        # An input that no node reads must not add parameters that get no gradient.
        self.calibrations = nn.ModuleList(
            calibration(maps, inside) if source in self.read else nn.Identity()
            for source, maps in enumerate(inputs)
        )
        self.layers = nn.ModuleList(
            operation_layer(operation, inside.channels, 2 if reduces and source < INPUTS else 1)
            for node in nodes
            for source, operation in node
        )
        self.loose = [n for n in range(INPUTS, INPUTS + len(nodes)) if n not in self.read]
        self.join = relu_conv_bn(inside.channels * len(self.loose), inside.channels, 1)

    def forward(self, before_last: Tensor, last: Tensor) -> Tensor:
        """Map the outputs of the two cells before, ``(N, C, H, W)``, to the output of this cell."""
        inputs = (before_last, last)
        maps = [calibrate(x) for calibrate, x in zip(self.calibrations, inputs, strict=True)]
        layers = iter(self.layers)
        for a, b in self.nodes:
            maps.append(next(layers)(maps[a.source]) + next(layers)(maps[b.source]))
        joined: Tensor = self.join(torch.cat([maps[n] for n in self.loose], 1))
        return joined


class Unread(nn.Module):
    """Takes the place of a cell whose output no later cell reads."""

    def forward(self, before_last: Tensor, last: Tensor) -> Tensor:
        """Return any tensor, which nothing reads; here, the output of the previous cell."""
        return last


class CellNetwork(nn.Module):
    """Stem, three stages of normal cells with reduction cells between, and a linear classifier.

    Args:
        normal: nodes of the normal cell.
        reduction: nodes of the reduction cell.
        image_channels: channels of the images.
        num_classes: number of logits.
        channels: channels of the first stage; the second has twice, the third four times as many.
        cells_per_stage: normal cells in each of the three stages.
    """

    def __init__(
        self,
        normal: Nodes,
        reduction: Nodes,
        image_channels: int,
        num_classes: int,
        channels: int,
        cells_per_stage: int,
    ) -> None:
        super().__init__()
        draws = Draws()
        self.stem = stem(image_channels, channels)
        maps = [Maps(channels, halvings=0)] * INPUTS
        cells: list[Cell] = []
        stage = [False] * cells_per_stage
        for reduces in (*stage, True, *stage, True, *stage):
            cells.append(Cell(reduction if reduces else normal, maps[-INPUTS:], reduces=reduces))
            maps.append(cells[-1].output)
        read = read_cells(cells)
        self.cells = nn.ModuleList(c if i in read else Unread() for i, c in enumerate(cells))
        self.classifier = draws.made("classifier", nn.Linear, maps[-1].channels, num_classes)
        for name, layer in self.named_modules():
            if isinstance(layer, nn.Conv2d):
                # As in conv_chain: torch's smaller default would need a smaller learning rate.
                draws.made(name, nn.init.kaiming_normal_, layer.weight)

    def forward(self, images: Tensor) -> Tensor:
        """Map images ``(N, C, H, W)`` to logits ``(N, num_classes)``."""
        before_last = last = self.stem(images)
        for cell in self.cells:
            before_last, last = last, cell(before_last, last)
        logits: Tensor = self.classifier(F.relu(last).mean(dim=(2, 3)))
        return logits


def read_cells(cells: Sequence[Cell]) -> set[int]:
    """Return the indices of the last cell and of all cells that it depends on."""
    read = {len(cells) - 1}
    for index in reversed(range(len(cells))):
        if index in read:
            read |= {index - INPUTS + source for source in cells[index].read if source < INPUTS}
    return read
