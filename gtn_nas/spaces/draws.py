"""Initial weights that candidates have in common.

What a candidate scores after a few steps depends on the weights it started from, and by as much as
neighbouring candidates differ. Where two of them have the same layer in the same place, they start
with the same weights: part of that noise then drops out of the comparison (common random numbers:
Glasserman and Yao 1992, Management Science 38(6)). One stream of random numbers for a whole network
would not do: a single layer more shifts all draws that follow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

from gtn_nas.trial import derived_seed

P = ParamSpec("P")
M = TypeVar("M")


class Draws:
    """Streams of random numbers for the layers of one network, each by its layer's place.

    All follow from one number of torch's generator, so that networks built under the same seed
    share them, and others do not.
    """

    def __init__(self) -> None:
        self.seed = int(torch.randint(2**31, (), device="cpu"))

    def made(self, place: str, make: Callable[P, M], *args: P.args, **kwargs: P.kwargs) -> M:
        """Make a layer with the draws of its place.

        Args:
            place: where in the network it is, whatever other layers there are.
            make: what makes it, on the CPU.
            args: given to that.
            kwargs: likewise.
        """
        with torch.random.fork_rng(devices=()):
            torch.default_generator.manual_seed(derived_seed(self.seed, place))
            return make(*args, **kwargs)
