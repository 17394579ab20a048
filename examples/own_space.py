"""A search space of one's own: ``gtn-nas search --space examples.own_space:MobileChain``."""

from types import MappingProxyType

from torch import Tensor, nn

from gtn_nas import Architecture, SearchSpace

Shape = tuple[int, int, int]
LAYERS = tuple(f"layer_{i}" for i in range(1, 9))
HALVES = (LAYERS[:4], LAYERS[4:])
KINDS = {"skip": (), "kernel_3_expand_3": (3, 3), "kernel_5_expand_6": (5, 6)}


def conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Module:
    """Return a convolution with batch norm."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs))


class InvertedResidual(nn.Module):
    """Widens, filters each channel, narrows, adds (MobileNetV2, arXiv 1801.04381, section 3.3)."""

    def __init__(self, channels: int, kernel: int, expand: int) -> None:
        super().__init__()
        wide = channels * expand
        self.widen, self.narrow = conv(channels, wide), conv(wide, channels)
        self.filter = conv(wide, wide, kernel, groups=wide)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape ``(N, C, H, W)``."""
        return x.add(self.narrow(self.filter(self.widen(x).relu()).relu()))


class MobileChain(SearchSpace):
    """MobileNet-like chains of eight layers; every four begin by halving the resolution."""

    name = "mobile_chain"
    choices = MappingProxyType(dict.fromkeys(LAYERS, tuple(KINDS)))

    def canonical(self, architecture: Architecture) -> Architecture:
        """Move the skips of each half to its end; they leave no trace, so 961 networks remain."""
        halves = [[architecture.choices[layer] for layer in half] for half in HALVES]
        kinds = [kind for half in halves for kind in sorted(half, key=lambda kind: kind == "skip")]
        return Architecture(self.name, dict(zip(LAYERS, kinds, strict=True)))

    def build(
        self, architecture: Architecture, input_shape: Shape, num_classes: int, scale: str = "proxy"
    ) -> nn.Module:
        """Build a chain that starts with 16 channels to be ranked, with 32 to be fully trained."""
        channels, width = input_shape[0], 16 if scale == "proxy" else 32
        layers: list[nn.Module] = []
        for half, wide in zip(HALVES, (width, 2 * width), strict=True):
            layers += [conv(channels, wide, 3, stride=2), nn.ReLU()]
            kinds = [KINDS[str(architecture.choices[layer])] for layer in half]
            layers += [InvertedResidual(wide, *kind) for kind in kinds if kind]
            channels = wide
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes)]
        return nn.Sequential(*layers)
