"""The interface of every search space."""

from __future__ import annotations

import json
import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from gtn_nas.architecture import Architecture, Choice
from gtn_nas.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

Scale = Literal["proxy", "final"]


class SearchSpace(ABC):
    """A set of architectures described by named choices.

    A space of your own is a subclass with ``name``, ``choices`` and ``build``; sampling and
    mutation follow from ``choices``. Override ``canonical`` where different choices can mean the
    same network.

    Attributes:
        name: the space's name, which its architectures carry in ``Architecture.space``.
        choices: the options (JSON values) of every choice, by the choice's name.

    Example:
        >>> import math, random, torch
        >>> from torch import nn
        >>> from gtn_nas import SearchSpace
        >>> class Perceptrons(SearchSpace):
        ...     name = "perceptrons"
        ...     choices = {"units": (16, 32, 64)}
        ...
        ...     def build(self, architecture, input_shape, num_classes, scale="proxy"):
        ...         units = architecture.choices["units"]
        ...         hidden = nn.Linear(math.prod(input_shape), units)
        ...         last = nn.Linear(units, num_classes)
        ...         return nn.Sequential(nn.Flatten(), hidden, nn.ReLU(), last)
        >>> space = Perceptrons()
        >>> network = space.build(space.sample(random.Random(0)), (1, 8, 8), 10)
        >>> network(torch.zeros(5, 1, 8, 8)).shape
        torch.Size([5, 10])
    """

    name: ClassVar[str]
    choices: Mapping[str, Sequence[Choice]]

    @abstractmethod
    def build(
        self,
        architecture: Architecture,
        input_shape: tuple[int, int, int],
        num_classes: int,
        scale: Scale = "proxy",
    ) -> nn.Module:
        """Build the network of the canonical form, freshly initialised.

        Args:
            architecture: a point of this space.
            input_shape: channels, height and width of an image.
            num_classes: number of logits.
            scale: ``"proxy"`` for the small network that proxies train, ``"final"`` for the
                network that is fully trained.

        Returns:
            A module from images ``(N, C, H, W)`` to logits ``(N, num_classes)``.
        """

    def canonical(self, architecture: Architecture) -> Architecture:
        """Drop inactive choices and merge equal networks; by default, change nothing."""
        return architecture

    def architecture(self, choices: Mapping[str, Choice]) -> Architecture:
        """Return the canonical architecture of the given choices.

        Raises:
            ConfigError: a choice is unknown or its value is not one of the options.
        """
        for name, value in choices.items():
            if name not in self.choices:
                raise ConfigError(f"search space {self.name!r} has no choice {name!r}")
            # Types must be equal too: in Python 2.0 == 2 and 1 == True, but their keys differ.
            if not any(type(value) is type(o) and value == o for o in self.choices[name]):
                options = ", ".join(map(str, self.choices[name]))
                raise ConfigError(f"{self.name}: {name}={value!r} is none of {options}")
        try:
            return self.canonical(Architecture(self.name, choices))
        except KeyError as error:
            raise ConfigError(f"{self.name}: the choice {error} is missing") from error

    def from_string(self, text: str) -> Architecture:
        """Read an architecture from a text as in tables of known accuracies.

        By default, the text is a JSON object of choices. A space with a notation of its own
        overrides this.

        Raises:
            ConfigError: the text is not a JSON object, or its choices are not those of this space.
        """
        try:
            choices = json.loads(text)
        except json.JSONDecodeError:
            choices = None
        if not isinstance(choices, dict):
            raise ConfigError(f"{text!r} is no JSON object of choices")
        return self.architecture(choices)

    def sample(self, rng: random.Random) -> Architecture:
        """Draw every choice uniformly."""
        return self.architecture({name: rng.choice(o) for name, o in self.choices.items()})

    def mutate(self, architecture: Architecture, rng: random.Random) -> Architecture:
        """Change one choice at random such that the key changes.

        Choices that the canonical form dropped get random options first, since the mutation can
        make them active.

        Raises:
            ConfigError: no change of a single choice gives another network.
        """
        full = {name: rng.choice(o) for name, o in self.choices.items()} | dict(
            architecture.choices
        )
        moves = [(n, v) for n, options in self.choices.items() for v in options if v != full[n]]
        rng.shuffle(moves)
        for name, value in moves:
            mutant = self.architecture(full | {name: value})
            if mutant.key != architecture.key:
                return mutant
        raise ConfigError(f"{self.name}: no single change of {architecture.key} gives another key")
