"""A network that ends its process once, in the middle of its training."""

import os
from pathlib import Path

import torch
from torch import nn

from gtn_nas.architecture import Architecture
from gtn_nas.spaces.base import SearchSpace


class Classifier(nn.Module):
    """A linear classifier of digits; at the given training step it does what it is told to."""

    def __init__(self, act: str, at_step: int, marker: Path) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 10)
        self.act, self.at_step, self.marker, self.step = act, at_step, marker, 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.step += self.training
        if self.act == "raise" and self.step == self.at_step:
            raise ValueError("no further")
        if self.act == "kill" and self.step == self.at_step and not self.marker.exists():
            self.marker.touch()
            os._exit(1)
        return self.linear(images.flatten(1))


class Fragile(SearchSpace):
    """Classifiers that are well, raise, or end their process once."""

    name = "fragile"
    choices = {"act": ("well", "raise", "kill"), "twin": (0, 1)}  # noqa: RUF012  # never changed

    def __init__(self, at_step: int, marker: Path) -> None:
        self.at_step, self.marker = at_step, marker

    def build(self, architecture: Architecture, *sizes: object) -> nn.Module:
        return Classifier(str(architecture.choices["act"]), self.at_step, self.marker)
