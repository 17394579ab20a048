"""Meta-gradients that Ray workers compute, on their way to the trainer that applies them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gtn_nas.pretraining.memory import keep_freed_memory
from gtn_nas.pretraining.trainer_factory import TrainerFactory
from gtn_nas.teacher.meta_training import Exchange, MetaGradient, MetaTrainer, Shared
from gtn_nas.trial import Arrays

SHARED = "shared"
"""Name of the one sent array that is not the teacher's: what the learners of a step share."""


@dataclass(frozen=True)
class RemoteGradient:
    """A meta-gradient as it travels: its arrays are received without a copy.

    Attributes:
        seed: of the learner.
        gradients: of every parameter of the teacher, in the trainer's order.
        norm: of all of them together.
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
        """Return a meta-gradient ready to be sent."""
        arrays = [gradient.cpu().numpy() for gradient in found.gradients]
        return cls(found.seed, arrays, found.norm, found.loss, found.accuracy)

    def received(self, devices: Sequence[torch.device]) -> MetaGradient:
        """Return the meta-gradient with each of its tensors on the device of its parameter."""
        gradients = [
            torch.tensor(array, device=device)
            for array, device in zip(self.gradients, devices, strict=True)
        ]
        return MetaGradient(self.seed, gradients, self.norm, self.loss, self.accuracy)


@dataclass(frozen=True)
class GradientFactory:
    """Makes, in each worker, the function from a teacher's state and a seed to a meta-gradient."""

    trainers: TrainerFactory

    def __call__(self, arrays: Arrays) -> Callable[[Arrays, int], RemoteGradient]:
        """Make a trainer from the shared training images and return what it computes."""
        keep_freed_memory()
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        # A copy: the pages mapped into every worker are read-only, and no tensor can be that.
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
    """Return what computes a step's meta-gradients by the trainer's twins in workers."""

    def exchange(seeds: Sequence[int], shared: Shared) -> list[MetaGradient]:
        state = {n: t.cpu().numpy() for n, t in trainer.source.state_dict().items()}
        draws = -1 if shared.draws is None else shared.draws
        state[SHARED] = np.array([shared.start, draws])
        devices = [parameter.device for parameter in trainer.parameters]
        return [result.received(devices) for result in workers(state, seeds)]

    return exchange
