"""Meta-gradients that Ray workers compute and send to the trainer that applies them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gtn_nas.pretraining.memory import keep_freed_memory
from gtn_nas.pretraining.trainer_factory import TrainerFactory
from gtn_nas.teacher.meta_gradient import Exchange, MetaGradient, Shared
from gtn_nas.teacher.meta_training import MetaTrainer
from gtn_nas.trial import Arrays

SHARED = "shared"
"""Name of the array with the values that all learners of an outer step share. All other arrays that
are sent to workers are the teacher's weights."""


@dataclass(frozen=True)
class RemoteGradient:
    """A meta-gradient in the form in which it is sent: as NumPy arrays, which Ray does not copy.

    Attributes:
        seed: seed of the learner.
        gradients: gradient with respect to each learned parameter of the teacher, in the order of
            the trainer's ``parameters``.
        norm: norm of all gradients together.
        loss: the meta-loss, a mean cross-entropy in nats.
        accuracy: accuracy (0-1) on the real batch at the end of the window.
    """

    seed: int
    gradients: list[NDArray[Any]]
    norm: float
    loss: float
    accuracy: float

    @classmethod
    def of(cls, found: MetaGradient) -> RemoteGradient:
        """Convert a meta-gradient to the form in which it is sent."""
        arrays = [gradient.cpu().numpy() for gradient in found.gradients]
        return cls(found.seed, arrays, found.norm, found.loss, found.accuracy)

    def received(self, devices: Sequence[torch.device]) -> MetaGradient:
        """Convert back to a meta-gradient.

        Args:
            devices: device of each parameter, in the order of ``gradients``.
        """
        gradients = [
            torch.tensor(array, device=device)
            for array, device in zip(self.gradients, devices, strict=True)
        ]
        return MetaGradient(self.seed, gradients, self.norm, self.loss, self.accuracy)


@dataclass(frozen=True)
class GradientFactory:
    """Makes the function that a worker computes meta-gradients with.

    The function takes the teacher's state and a learner's seed. Each worker calls the factory once.
    """

    trainers: TrainerFactory

    def __call__(self, arrays: Arrays) -> Callable[[Arrays, int], RemoteGradient]:
        """Make a trainer from the shared training images; return its meta-gradient function."""
        keep_freed_memory()
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        # Copied, since arrays in the object store are read-only, and torch has no such tensors.
        images, labels = (torch.tensor(arrays[n], device=device) for n in ("images", "labels"))
        trainer = self.trainers.trainer(images, labels)

        def gradient(state: Arrays, seed: int) -> RemoteGradient:
            weights = {n: torch.tensor(a) for n, a in state.items() if n != SHARED}
            trainer.source.load_state_dict(weights)
            start, draws = state[SHARED].tolist()
            shared = Shared(start, None if draws < 0 else draws)
            return RemoteGradient.of(trainer.meta_gradient(seed, shared))

        return gradient


def exchange_by(
    trainer: MetaTrainer, workers: Callable[[Arrays, Sequence[int]], list[RemoteGradient]]
) -> Exchange:
    """Return an exchange that lets workers compute the meta-gradients of an outer step.

    Args:
        trainer: the trainer that applies the meta-gradients.
        workers: calls the function of ``GradientFactory`` in workers, once for each seed.
    """

    def exchange(seeds: Sequence[int], shared: Shared) -> list[MetaGradient]:
        state = {n: t.cpu().numpy() for n, t in trainer.source.state_dict().items()}
        draws = -1 if shared.draws is None else shared.draws
        state[SHARED] = np.array([shared.start, draws])
        devices = [parameter.device for parameter in trainer.parameters]
        return [result.received(devices) for result in workers(state, seeds)]

    return exchange
