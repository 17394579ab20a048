"""How large a network is: the simplest proxies of all."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

WEIGHTED = ("Convolution", "Addmm", "MmBackward", "BmmBackward")
"""Parts of the names of autograd's nodes that multiply by weights."""


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


def count_depth(network: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """Return how many convolutions and matrix products stand on the longest way to the logits.

    They are counted in autograd's graph of a forward pass in evaluation mode, so ways that
    add up to the same sum count by the longest of them.
    """
    network.eval()
    device = next(network.parameters()).device
    with torch.enable_grad():
        root = network(torch.zeros(1, *image_shape, device=device)).grad_fn
    depths: dict[Any, int] = {}
    stack = [root] if root is not None else []
    while stack:
        node = stack[-1]
        before = [n for n, _ in node.next_functions if n is not None]
        missing = [n for n in before if n not in depths]
        if missing:
            stack += missing
            continue
        stack.pop()
        longest = max((depths[n] for n in before), default=0)
        depths[node] = longest + any(kind in node.name() for kind in WEIGHTED)
    return depths.get(root, 0)
