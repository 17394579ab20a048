"""Equal initial weights for equal layers of different candidates.

A candidate's score after a few steps depends on its initial weights, by as much as similar
candidates differ. If two candidates have the same layer in the same place, both layers therefore
start with the same weights, and part of this noise drops out of the comparison (common random
numbers: Glasserman and Yao 1992, Management Science 38(6)). One random stream for a whole network
would not achieve this: one more layer would change all later draws.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

from gtn_nas.trial import derived_seed

P = ParamSpec("P")
M = TypeVar("M")


class Draws:
    """One stream of random numbers for each place of a layer in one network.

    All streams follow from one number drawn from torch's generator, so networks that are built
    under the same seed have the same streams.
    """

    def __init__(self) -> None:
        self.seed = int(torch.randint(2**31, (), device="cpu"))

    def made(self, place: str, make: Callable[P, M], *args: P.args, **kwargs: P.kwargs) -> M:
        """Make a layer whose initial weights come from the stream of its place.

        Args:
            place: name of the layer's place in the network; it must not depend on which other
                layers there are.
            make: makes the layer, on the CPU.
            args: positional arguments of ``make``.
            kwargs: keyword arguments of ``make``.
        """
        with torch.random.fork_rng(devices=()):
            torch.default_generator.manual_seed(derived_seed(self.seed, place))
            return make(*args, **kwargs)
