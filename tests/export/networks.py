"""Networks as users write them, each with something that is not easily written as plain code."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2
SHAPE = (3, 16, 16)


class SqueezeExcite(nn.Module):
    """Weighs channels by "what they hold"."""

    def __init__(self, channels: int, ratio: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // ratio)
        self.excite = nn.Linear(channels // ratio, channels)

    def forward(self, x: Tensor) -> Tensor:
        n, c, _, _ = x.shape
        weights = F.relu(self.squeeze(x.mean((2, 3))))
        return x * torch.sigmoid(self.excite(weights)).view(n, c, 1, 1)


class DropPath(nn.Module):
    """Leaves whole images out while it trains."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return x * (torch.rand(len(x), 1, 1, 1, device=x.device) >= self.rate)


class Blocks(nn.Module):
    """Two stages of blocks in lists and mappings, of which one is never used."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.ModuleDict(
                {
                    "conv": nn.Conv2d(i, o, 3, padding=1),
                    "act": nn.ReLU(inplace=True),
                    "gate": SqueezeExcite(o, 2),
                    "drop": DropPath(rate),
                }
            )
            for i, o, rate in ((3, 8, 0.1), (8, 12, 0.2))
        )
        self.unused = nn.Linear(7, 7)
        self.head = nn.Linear(12, classes)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block["conv"](x)
            y = block["act"](x)
            x = y + block["drop"](block["gate"](y)) * x
        return self.head(F.adaptive_max_pool2d(x, 1).flatten(1))


class Attention(nn.Module):
    """Patches with learned positions, a layer of attention, and a scale that is not saved."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.position = nn.Parameter(torch.randn(1, 16, 8))
        self.register_buffer("scale", torch.tensor(0.5), persistent=False)
        self.norm = nn.LayerNorm(8)
        self.qkv = nn.Linear(8, 24, bias=False)
        self.head = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.position
        query, key, value = self.qkv(self.norm(tokens)).chunk(3, dim=-1)
        weights = (query @ key.transpose(1, 2) * self.scale / math.sqrt(8)).softmax(dim=-1)
        tokens = tokens + (weights @ value - tokens * 0.1)
        return self.head(tokens[:, 0] - (tokens[:, 1] - tokens[:, -1:].sum(1)))


class Shared(nn.Module):
    """One convolution that is used three times, and a method of its own."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 1)
        self.again = nn.Conv2d(4, 4, (1, 3), padding="same", padding_mode="reflect")
        self.act = nn.LeakyReLU(SLOPE)
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(1024, classes))

    def twice(self, x: Tensor) -> Tensor:
        return self.act(self.again(self.act(self.again(x))))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        x.add_(1)
        return self.head(x + self.again(self.twice(x)))


class Looks(nn.Module):
    """Looks at values and at sizes, which no trace can follow."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(3, 3, k, padding=k // 2) for k in (1, 3))
        self.most = 20
        self.head = nn.Linear(3, classes)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = F.leaky_relu(conv(x), SLOPE)
        if x.shape[-1] > self.most:
            x = F.avg_pool2d(x, 2)
        return self.head(x.mean((2, 3)))


class MyConv(nn.Conv2d):
    """A convolution that only chooses its own padding."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__(i, o, 5, padding=2)


def parametrised(classes: int) -> nn.Module:
    return nn.Sequential(
        MyConv(3, 6),
        nn.Sequential(nn.GroupNorm(2, 6), nn.PReLU(6), nn.MaxPool2d(2)),
        nn.ConvTranspose2d(6, 5, 2, stride=2, output_padding=1),
        nn.InstanceNorm2d(5, affine=True),
        nn.Identity(),
        nn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=False),
        nn.Hardswish(),
        nn.AdaptiveAvgPool2d((2, 3)),
        nn.Flatten(),
        nn.Linear(30, classes, bias=False),
    )


NETWORKS: dict[str, Callable[[int], nn.Module]] = {
    "blocks": Blocks,
    "attention": Attention,
    "shared": Shared,
    "looks": Looks,
    "layers": parametrised,
}
