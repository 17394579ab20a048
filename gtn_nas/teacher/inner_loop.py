"""How a learner is taught: a few SGD steps on given batches, differentiable or not.

One rule for batch-norm statistics holds throughout. While a learner trains, layers use the
statistics of the batch at hand. Before it is scored, running statistics are re-estimated in one
pass over a fixed sample of real *training* images, and scoring uses those. Inside meta-training
the meta-loss uses the statistics of its own large real batch: the differentiable equivalent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

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
    def steps(self) -> int:
        """Number of batches."""
        return len(self.images)

    def first(self, steps: int) -> Lesson:
        """Return the lesson's first steps.

        Raises:
            ValueError: the lesson is shorter.
        """
        if steps > self.steps:
            raise ValueError(f"a budget of {steps} steps, but the lesson has {self.steps}")
        return Lesson(
            self.images[:steps],
            self.labels[:steps],
            self.learning_rates[:steps],
            self.momenta[:steps],
        )


def unroll(
    learner: nn.Module, lesson: Lesson, *, window: range | None = None
) -> Iterator[tuple[int, Parameters]]:
    """Train by SGD with momentum, yielding the parameters after every step.

    Args:
        learner: a network in training mode; its own parameters are the start and stay unchanged.
        lesson: the batches and step sizes.
        window: steps that are differentiated with respect to the lesson; earlier steps are plain,
            and training ends with the window (random-window truncation: Feng et al. 2023, arXiv
            2310.04418). ``None``: all steps run and nothing is differentiated.

    Yields:
        Index of the step just taken and the parameters after it; inside the window they carry the
        graph back to the lesson.
    """
    parameters = {n: p.detach().requires_grad_() for n, p in learner.named_parameters()}
    velocity = {n: torch.zeros_like(p) for n, p in parameters.items()}
    last = lesson.steps if window is None else window.stop
    for step in range(last):
        differentiable = window is not None and step >= window.start
        with torch.enable_grad():
            logits = functional_call(learner, parameters, (lesson.images[step],))
            loss = F.cross_entropy(logits, lesson.labels[step])
            gradients = torch.autograd.grad(
                loss, list(parameters.values()), create_graph=differentiable
            )
            rate, momentum = lesson.learning_rates[step], lesson.momenta[step]
            velocity = {
                name: momentum * old + gradient
                for (name, old), gradient in zip(velocity.items(), gradients, strict=True)
            }
            parameters = {name: old - rate * velocity[name] for name, old in parameters.items()}
        if not differentiable:
            parameters = {n: p.detach().requires_grad_() for n, p in parameters.items()}
            velocity = {n: v.detach() for n, v in velocity.items()}
        yield step, parameters


def teach(learner: nn.Module, lesson: Lesson) -> nn.Module:
    """Train ``learner`` in place on every batch of the lesson.

    Raises:
        FloatingPointError: a parameter became non-finite.
    """
    learner.train()
    *_, (_, parameters) = unroll(learner, lesson)
    with torch.no_grad():
        for name, parameter in learner.named_parameters():
            parameter.copy_(parameters[name])
    total = torch.stack([p.detach().sum() for p in parameters.values()]).sum()
    if not torch.isfinite(total):
        raise FloatingPointError("parameters became non-finite")
    return learner


@torch.no_grad()
def estimate_batch_statistics(learner: nn.Module, images: Tensor) -> None:
    """Replace all running statistics by those of ``images`` ``(N, C, H, W)``."""
    norms = [m for m in learner.modules() if isinstance(m, _BatchNorm)]
    if not norms:
        return
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative average: one pass gives exactly the batch's statistics
    learner.train()
    learner(images)


@torch.no_grad()
def score(learner: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, float]:
    """Return accuracy (0-1) and mean cross-entropy on real images, in evaluation mode."""
    learner.eval()
    logits = torch.cat([learner(chunk) for chunk in torch.split(images, 2048)])
    accuracy = (logits.argmax(1) == labels).float().mean().item()
    return accuracy, F.cross_entropy(logits, labels).item()
