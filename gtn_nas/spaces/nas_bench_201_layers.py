"""The network and the layers of NAS-Bench-201 (arXiv 2001.00326, section 2.1, figure 1)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from gtn_nas.spaces.cell_layers import relu_conv_bn, stem
from gtn_nas.spaces.draws import Draws

Edges = Mapping[tuple[int, int], str]
"""The operation of each live edge (target node, source node), ordered by target."""


def operation_layer(operation: str, channels: int) -> nn.Module:
    """Make the layer of one operation; it keeps the shape ``(N, channels, H, W)``."""
    match operation:
        case "skip_connect":
            return nn.Identity()
        case "nor_conv_1x1":
            return relu_conv_bn(channels, channels, 1)
        case "nor_conv_3x3":
            return relu_conv_bn(channels, channels, 3)
        case "avg_pool_3x3":
            return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    raise ValueError(f"no layer for operation {operation!r}")


class Cell(nn.Module):
    """A directed acyclic graph whose nodes sum the outputs of their live incoming edges."""

    def __init__(self, edges: Edges, channels: int) -> None:
        super().__init__()
        self.edges = list(edges)
        draws = Draws()
        self.layers = nn.ModuleList(
            draws.made(f"edge {edge}", operation_layer, operation, channels)
            for edge, operation in edges.items()
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map node 0 to node 3, both ``(N, channels, H, W)``."""
        nodes = {0: images}
        for (target, source), layer in zip(self.edges, self.layers, strict=True):
            value = layer(nodes[source])
            nodes[target] = nodes[target] + value if target in nodes else value
        # A dead cell returns zeros. The product gives the parameters before it a gradient of zero
        # rather than none.
        return nodes[3] if self.edges else images * 0


class ResidualBlock(nn.Module):
    """Basic residual block that doubles the channels and halves height and width."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            relu_conv_bn(channels, 2 * channels, 3, stride=2),
            relu_conv_bn(2 * channels, 2 * channels, 3),
        )
        # Rounding up matches the strided convolution on odd sizes.
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, stride=2, ceil_mode=True),
            nn.Conv2d(channels, 2 * channels, 1, bias=False),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map ``(N, C, H, W)`` to ``(N, 2 C, ceil(H / 2), ceil(W / 2))``."""
        output: Tensor = self.shortcut(images) + self.convolutions(images)
        return output


class CellNetwork(nn.Module):
    """Stem, three stages of cells with residual blocks between them, and a linear classifier.

    Args:
        edges: live edges of the cell.
        image_channels: channels of the images.
        num_classes: number of logits.
        channels: channels of the first stage.
        cells_per_stage: cells in each of the three stages.
    """

    def __init__(
        self,
        edges: Edges,
        image_channels: int,
        num_classes: int,
        channels: int,
        cells_per_stage: int,
    ) -> None:
        super().__init__()
        draws = Draws()
        self.stem = stem(image_channels, channels)

        def stage(width: int) -> list[nn.Module]:
            places = [f"cell {i} of width {width}" for i in range(cells_per_stage)]
            return [draws.made(place, Cell, edges, width) for place in places]

        self.body = nn.Sequential(
            *stage(channels),
            ResidualBlock(channels),
            *stage(2 * channels),
            ResidualBlock(2 * channels),
            *stage(4 * channels),
        )
        self.head = nn.Sequential(nn.BatchNorm2d(4 * channels), nn.ReLU())
        self.classifier = nn.Linear(4 * channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map images ``(N, C, H, W)`` to logits ``(N, num_classes)``."""
        features: Tensor = self.head(self.body(self.stem(images)))
        logits: Tensor = self.classifier(features.mean(dim=(2, 3)))
        return logits
