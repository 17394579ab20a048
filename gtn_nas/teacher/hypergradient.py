"""The gradient of real-data losses with respect to a lesson, computed step by step.

The forward pass keeps only the learner's parameters and velocity before each step. The backward
pass repeats each step to get its graph, so that memory holds the graph of one step only, however
long the lesson is. This is checkpointing at every step, as in Such et al. 2019, arXiv 1912.07768,
appendix. The backward recursion is that of Maclaurin et al. 2015, arXiv 1502.03492, algorithm 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from gtn_nas.teacher.inner_loop import LearnerState, Lesson, sgd_step
from gtn_nas.trial import derived_seed

JUDGED_AT_ONCE = 512
"""Largest number of real images in one pass of a learner. Batch normalisation uses the statistics
of one pass."""


@dataclass(frozen=True)
class RealBatch:
    """Real images on which a learner's loss is measured.

    Attributes:
        images: ``(N, C, H, W)`` normalised images.
        labels: ``(N,)`` class indices.
    """

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class LessonGradient:
    """The gradient of a learner's loss with respect to its lesson, and the loss.

    Attributes:
        gradient: gradient of the loss with respect to each tensor of the lesson that requires a
            gradient. It is zero for steps outside the window, and for the other tensors.
        loss: real-data loss after the window's last step, plus the mean of the intermediate losses
            inside the window, if there are any.
        accuracy: accuracy (0-1) on the real batch after the window's last step.
    """

    gradient: Lesson
    loss: float
    accuracy: float


def lesson_gradient(
    learner: nn.Module,
    lesson: Lesson,
    window: range,
    real: RealBatch,
    *,
    loss_every: int,
    seed: int,
) -> LessonGradient:
    """Teach a learner to the end of a window and differentiate its loss through the window.

    Args:
        learner: a network in training mode. Training starts from its parameters, which stay
            unchanged.
        lesson: the batches and step sizes. The graph that produced them is not differentiated.
        window: steps that are differentiated. Earlier steps are not, and training ends with the
            window (random-window truncation: Feng et al. 2023, arXiv 2310.04418).
        real: images on which the learner's loss is measured.
        loss_every: steps between intermediate losses inside the window, counted from its end.
        seed: seed of random layers, such as dropout.
    """
    states, fixed = [LearnerState.start(learner)], lesson.detached()
    for step in range(window.stop):
        torch.manual_seed(derived_seed(seed, "step", step))
        state = sgd_step(learner, states[-1], fixed, step).detached()
        states = [*states, state] if step >= window.start else [state]
    due = range(window.stop - loss_every, window.start, -loss_every)
    return _Backward(learner, lesson, window, real, seed, set(due)).run(states)


class _Backward:
    """The backward pass from the window's end to its start.

    ``due`` has the steps before which an intermediate loss is measured. The other arguments are
    those of ``lesson_gradient``.
    """

    def __init__(
        self,
        learner: nn.Module,
        lesson: Lesson,
        window: range,
        real: RealBatch,
        seed: int,
        due: set[int],
    ) -> None:
        self.wanted = [i for i, tensor in enumerate(lesson.tensors) if tensor.requires_grad]
        lesson = lesson.detached()
        self.learner, self.lesson, self.window = learner, lesson, window
        self.real, self.seed, self.due = real, seed, due
        self.gradient = Lesson(*map(torch.zeros_like, lesson.tensors))
        self.loss, self.accuracy = 0.0, 0.0

    def run(self, states: list[LearnerState]) -> LessonGradient:
        """Return the gradient; ``states[i]`` is the learner before step ``window.start + i``."""
        parameters, velocity = self._judge(states.pop(), self.window.stop), None
        for step in reversed(self.window):
            state = states.pop()
            parameters, velocity = self._step_back(step, state, parameters, velocity)
            if step in self.due:
                later = self._judge(state, step)
                parameters = [a + b for a, b in zip(parameters, later, strict=True)]
        return LessonGradient(self.gradient, self.loss, self.accuracy)

    def _judge(self, state: LearnerState, step: int) -> list[Tensor]:
        """Add the real-data loss before a step; return its gradient for each parameter."""
        last = step == self.window.stop
        weight = 1 / (len(self.real.labels) * (1 if last else len(self.due)))
        leaves = state.leaves()
        total = [torch.zeros_like(p) for p in leaves.parameters.values()]
        parts = math.ceil(len(self.real.labels) / JUDGED_AT_ONCE)
        batches = (t.tensor_split(parts) for t in (self.real.images, self.real.labels))
        for images, labels in zip(*batches, strict=True):
            logits = functional_call(self.learner, leaves.parameters, (images,))
            loss = weight * F.cross_entropy(logits, labels, reduction="sum")
            found = torch.autograd.grad(loss, list(leaves.parameters.values()))
            total = [a + b for a, b in zip(total, found, strict=True)]
            self.loss += loss.item()
            if last:
                right = (logits.argmax(1) == labels).sum().item()
                self.accuracy += right / len(self.real.labels)
        return total

    def _step_back(
        self,
        step: int,
        state: LearnerState,
        parameters: list[Tensor],
        velocity: list[Tensor] | None,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return the gradients with respect to the parameters and velocity before a step.

        Add the gradient with respect to the lesson's batch and step sizes of the step.

        Args:
            step: the step to differentiate.
            state: state of the learner before the step.
            parameters: gradient with respect to the parameters after the step.
            velocity: gradient with respect to the velocity after the step; ``None`` for zero.
        """
        before = state.leaves()
        batch = self.lesson.only(step)
        learned = [batch.tensors[i].requires_grad_() for i in self.wanted]
        torch.manual_seed(derived_seed(self.seed, "step", step))
        after = sgd_step(self.learner, before, batch, 0, differentiable=True)
        outputs, given = list(after.parameters.values()), parameters
        if velocity is not None:
            outputs, given = outputs + list(after.velocity.values()), parameters + velocity
        inputs = [*before.parameters.values(), *before.velocity.values(), *learned]
        found = torch.autograd.grad(outputs, inputs, given)
        count = len(parameters)
        for i, gradient in zip(self.wanted, found[2 * count :], strict=True):
            self.gradient.tensors[i][step] = gradient[0]
        return list(found[:count]), list(found[count : 2 * count])
