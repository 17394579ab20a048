"""How large a network is; these sizes are the simplest proxies of all."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

WEIGHTED = ("Convolution", "Addmm", "MmBackward", "BmmBackward")
"""Parts of the names of those nodes in autograd's graph that multiply by weights."""


def count_parameters(network: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


@torch.no_grad()
def count_flops(network: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """Return the number of floating-point operations in the forward pass of one image.

    Only convolutions and matrix products count, a multiplication and an addition as two.
    The network is left in evaluation mode.
    """
    network.eval()
    device = next(network.parameters()).device
    counter = FlopCounterMode(display=False)
    with counter:
        network(torch.zeros(1, *image_shape, device=device))
    return int(counter.get_total_flops())


def count_depth(network: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """Return the number of convolutions and matrix products on the longest path to the logits.

    The paths are those of autograd's graph of a forward pass in evaluation mode. The network is
    left in that mode.
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
