"""The inner loop, which teaches a learner: a few SGD steps on the batches of a lesson.

Batch-norm statistics follow one rule everywhere. While a learner trains, layers use the statistics
of the current batch. Before it is scored, running statistics are estimated again in one pass over a
fixed sample of real *training* images (``torch.optim.swa_utils.update_bn``, with that sample as its
only batch), and scoring uses them. In meta-training, the meta-loss uses the statistics of its own
large real batch instead, since these can be differentiated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

Parameters = dict[str, Tensor]


@dataclass(frozen=True)
class Lesson:
    """The batches, labels and step sizes that a learner is trained with, in order.

    Attributes:
        images: ``(T, B, C, H, W)`` normalised images, one batch per step.
        labels: ``(T, B)`` class indices, or ``(T, B, classes)`` class probabilities.
        learning_rates: ``(T,)``, one per step.
        momenta: ``(T,)``, one per step, each in [0, 1).
    """

    images: Tensor
    labels: Tensor
    learning_rates: Tensor
    momenta: Tensor

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return images, labels, learning rates and momenta."""
        return self.images, self.labels, self.learning_rates, self.momenta

    @property
    def steps(self) -> int:
        """Number of batches."""
        return len(self.images)

    def detached(self) -> Lesson:
        """Return a lesson with the same values, detached from their autograd graph."""
        return Lesson(*(tensor.detach() for tensor in self.tensors))

    def first(self, steps: int) -> Lesson:
        """Return a lesson of the first ``steps`` steps.

        Raises:
            ValueError: this lesson has fewer steps.
        """
        if steps > self.steps:
            raise ValueError(f"a budget of {steps} steps, but the lesson has {self.steps}")
        return Lesson(*(tensor[:steps] for tensor in self.tensors))

    def only(self, step: int) -> Lesson:
        """Return a lesson of the given step only."""
        return Lesson(*(tensor[step : step + 1] for tensor in self.tensors))


@dataclass(frozen=True)
class LearnerState:
    """State of a learner before or after an inner step.

    Attributes:
        parameters: the learner's parameters, by name.
        velocity: velocity of SGD with momentum, by the names of the parameters.
        loss: loss on the batch of the latest step, before that step; NaN at the start.
    """

    parameters: Parameters
    velocity: Parameters
    loss: Tensor = field(default_factory=lambda: torch.tensor(math.nan))

    @classmethod
    def start(cls, learner: nn.Module) -> LearnerState:
        """Return the start of training: the learner's own parameters and zero velocity."""
        parameters = {n: p.detach().requires_grad_() for n, p in learner.named_parameters()}
        return cls(parameters, {n: torch.zeros_like(p) for n, p in parameters.items()})

    def detached(self) -> LearnerState:
        """Return a state with the same values, detached from their autograd graph."""
        return LearnerState(
            {n: p.detach().requires_grad_() for n, p in self.parameters.items()},
            {n: v.detach() for n, v in self.velocity.items()},
            self.loss.detach(),
        )

    def leaves(self) -> LearnerState:
        """Return a state with the same values as leaves of a new autograd graph."""
        return LearnerState(
            {n: p.detach().requires_grad_() for n, p in self.parameters.items()},
            {n: v.detach().requires_grad_() for n, v in self.velocity.items()},
        )


def sgd_step(
    learner: nn.Module,
    state: LearnerState,
    lesson: Lesson,
    step: int,
    *,
    differentiable: bool = False,
) -> LearnerState:
    """Take one step of SGD with momentum on one batch of a lesson.

    Args:
        learner: a network in training mode; its own parameters are not used.
        state: state before the step; its parameters require gradients.
        lesson: the batches and step sizes.
        step: index of the batch in the lesson.
        differentiable: whether the result can be differentiated with respect to state and lesson.
    """
    with torch.enable_grad():
        logits = functional_call(learner, state.parameters, (lesson.images[step],))
        loss = F.cross_entropy(logits, lesson.labels[step])
        gradients = torch.autograd.grad(
            loss, list(state.parameters.values()), create_graph=differentiable
        )
        rate, momentum = lesson.learning_rates[step], lesson.momenta[step]
        velocity = {
            name: momentum * old + gradient
            for (name, old), gradient in zip(state.velocity.items(), gradients, strict=True)
        }
        parameters = {n: old - rate * velocity[n] for n, old in state.parameters.items()}
    return LearnerState(parameters, velocity, loss)


def unroll(learner: nn.Module, lesson: Lesson) -> Iterator[LearnerState]:
    """Train a learner by SGD with momentum; yield its state after every step.

    Args:
        learner: a network in training mode. Training starts from its parameters, which stay
            unchanged.
        lesson: the batches and step sizes; the states cannot be differentiated with respect to
            them.
    """
    state = LearnerState.start(learner)
    for step in range(lesson.steps):
        state = sgd_step(learner, state, lesson, step).detached()
        yield state


def teach(learner: nn.Module, lesson: Lesson) -> Tensor:
    """Train a learner in place on every batch of a lesson.

    Returns:
        The loss on each batch, before the step on it, ``(T,)``.

    Raises:
        FloatingPointError: a parameter became non-finite.
    """
    learner.train()
    losses, parameters = list[Tensor](), Parameters()
    for state in unroll(learner, lesson):
        parameters = state.parameters
        losses.append(state.loss)
    with torch.no_grad():
        for name, parameter in learner.named_parameters():
            parameter.copy_(parameters[name])
    total = torch.stack([p.detach().sum() for p in parameters.values()]).sum()
    if not torch.isfinite(total):
        raise FloatingPointError("parameters became non-finite")
    return torch.stack(losses)


@torch.no_grad()
def score(learner: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, float]:
    """Return accuracy (0-1) and mean cross-entropy on real images, in evaluation mode."""
    learner.eval()
    logits = torch.cat([learner(chunk) for chunk in torch.split(images, 2048)])
    accuracy = (logits.argmax(1) == labels).float().mean().item()
    return accuracy, F.cross_entropy(logits, labels).item()
