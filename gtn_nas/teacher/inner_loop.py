"""How a learner is taught: a few SGD steps on given batches.

One rule for batch-norm statistics holds throughout. While a learner trains, layers use the
statistics of the batch at hand. Before it is scored, running statistics are re-estimated in one
pass over a fixed sample of real *training* images (``torch.optim.swa_utils.update_bn``, with that
sample as its only batch), and scoring uses those. Inside meta-training the meta-loss uses the
statistics of its own large real batch: the differentiable equivalent.
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
    """Everything a learner is shown, in order.

    Attributes:
        images: ``(T, B, C, H, W)`` normalised images, one batch per step.
        labels: ``(T, B)`` class indices, or ``(T, B, classes)`` class probabilities.
        learning_rates: ``(T,)``.
        momenta: ``(T,)``, each in [0, 1).
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
        """Return the same values without the graph that led to them."""
        return Lesson(*(tensor.detach() for tensor in self.tensors))

    def first(self, steps: int) -> Lesson:
        """Return the lesson's first steps.

        Raises:
            ValueError: the lesson is shorter.
        """
        if steps > self.steps:
            raise ValueError(f"a budget of {steps} steps, but the lesson has {self.steps}")
        return Lesson(*(tensor[:steps] for tensor in self.tensors))

    def only(self, step: int) -> Lesson:
        """Return the lesson of that step alone."""
        return Lesson(*(tensor[step : step + 1] for tensor in self.tensors))


@dataclass(frozen=True)
class LearnerState:
    """What a step changes.

    Attributes:
        parameters: the learner's parameters, by name.
        velocity: of SGD with momentum, by the same names.
        loss: on the batch of the step that led here, before that step; NaN at the start.
    """

    parameters: Parameters
    velocity: Parameters
    loss: Tensor = field(default_factory=lambda: torch.tensor(math.nan))

    @classmethod
    def start(cls, learner: nn.Module) -> LearnerState:
        """Return the learner's own parameters, at rest."""
        parameters = {n: p.detach().requires_grad_() for n, p in learner.named_parameters()}
        return cls(parameters, {n: torch.zeros_like(p) for n, p in parameters.items()})

    def detached(self) -> LearnerState:
        """Return the same values without the graph that led to them."""
        return LearnerState(
            {n: p.detach().requires_grad_() for n, p in self.parameters.items()},
            {n: v.detach() for n, v in self.velocity.items()},
            self.loss.detach(),
        )

    def leaves(self) -> LearnerState:
        """Return the same values as leaves of a new graph."""
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
        state: where the step starts; its parameters require gradients.
        lesson: the batches and step sizes.
        step: which of them.
        differentiable: whether the result keeps the graph back to state and lesson.
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
    """Train by SGD with momentum, yielding where every step ends.

    Args:
        learner: a network in training mode; its own parameters are the start and stay unchanged.
        lesson: the batches and step sizes; nothing is differentiated with respect to them.
    """
    state = LearnerState.start(learner)
    for step in range(lesson.steps):
        state = sgd_step(learner, state, lesson, step).detached()
        yield state


def teach(learner: nn.Module, lesson: Lesson) -> Tensor:
    """Train ``learner`` in place on every batch of the lesson.

    Returns:
        The loss on each batch before its step, ``(T,)``.

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
