"""How large a network is: the simplest proxies of all."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(network: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


@torch.no_grad()
def count_flops(network: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """Return the floating-point operations of one image's forward pass.

    A multiplication and an addition count as two; only convolutions and matrix products count.
    The network is left in evaluation mode.
    """
    network.eval()
    device = next(network.parameters()).device
    counter = FlopCounterMode(display=False)
    with counter:
        network(torch.zeros(1, *image_shape, device=device))
    return int(counter.get_total_flops())
