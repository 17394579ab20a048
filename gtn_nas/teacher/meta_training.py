"""Meta-training: learn the lesson that teaches freshly sampled learners best.

Source: Such et al. 2019, arXiv 1912.07768, sections 2 and 3; the remedies against unstable
meta-gradients (random windows, clipping against a moving average, an outer second-moment decay of
0.9) follow Feng et al. 2023, arXiv 2310.04418.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from gtn_nas.errors import MetaTrainingError
from gtn_nas.teacher.curriculum import RealData, Teacher
from gtn_nas.teacher.inner_loop import Lesson, Parameters, unroll
from gtn_nas.trial import derived_seed

SampleLearner = Callable[[int], nn.Module]
"""From a seed to a learner of freshly sampled architecture and weights, on the right device."""

MAX_SKIPPED_IN_A_ROW = 10


@dataclass(frozen=True)
class MetaConfig:
    """How a teacher is meta-trained.

    Attributes:
        iterations: outer steps.
        learners_per_step: learners whose meta-gradients are averaged in one outer step.
        real_batch_size: real images in one meta-loss.
        window: inner steps that are differentiated; they are placed at random in the lesson.
            ``None`` for all.
        loss_every: inner steps between intermediate meta-losses inside the window.
        learning_rate: outer rate of generator and curriculum; it falls by a cosine to a tenth.
        step_size_learning_rate: outer rate of the learners' rates and momenta.
        clip_factor: largest gradient norm, in multiples of its moving average.
        seed: seed of everything random.
    """

    iterations: int
    learners_per_step: int = 1
    real_batch_size: int = 256
    window: int | None = None
    loss_every: int = 4
    learning_rate: float = 0.005
    step_size_learning_rate: float = 0.02
    clip_factor: float = 2.0
    seed: int = 0


@dataclass(frozen=True)
class MetaStep:
    """What one outer step showed.

    Attributes:
        iteration: outer steps done so far, this one included.
        meta_loss: mean real-data cross-entropy over the step's learners and meta-losses.
        accuracy: mean accuracy (0-1) on the real batch at the end of the window.
        gradient_norm: norm of the averaged meta-gradient, before clipping.
        skipped: whether the step was left out because it was not finite.
    """

    iteration: int
    meta_loss: float
    accuracy: float
    gradient_norm: float
    skipped: bool


class MetaTrainer:
    """The outer loop, one step at a time; its state can be saved and loaded at any step.

    All randomness of a step follows from (seed, iteration), so a resumed run repeats an
    undisturbed one exactly.

    Args:
        source: the teacher, or a control, whose parameters are learned.
        config: how to learn them.
        sample_learner: makes a fresh learner from a seed.
        images: ``(N, C, H, W)`` normalised real training images.
        labels: ``(N,)`` class indices.
    """

    def __init__(
        self,
        source: Teacher | RealData,
        config: MetaConfig,
        sample_learner: SampleLearner,
        images: Tensor,
        labels: Tensor,
    ) -> None:
        self.source, self.config, self.sample_learner = source, config, sample_learner
        self.images, self.labels = images, labels
        step_sizes = list(source.step_sizes.parameters())
        of_step_sizes = {id(p) for p in step_sizes}
        others = [p for p in source.parameters() if id(p) not in of_step_sizes]
        self.parameters = others + step_sizes
        groups = [
            {"params": others, "base": config.learning_rate},
            {"params": step_sizes, "base": config.step_size_learning_rate},
        ]
        self.optimiser = torch.optim.Adam(
            [group for group in groups if group["params"]], betas=(0.9, 0.9), eps=1e-5
        )
        self.iteration = 0
        self.mean_norm = 0.0
        self.skipped = 0
        self.skipped_in_a_row = 0

    def run(self) -> Iterator[MetaStep]:
        """Take the remaining outer steps.

        Raises:
            MetaTrainingError: ten steps in a row were not finite.
        """
        while self.iteration < self.config.iterations:
            yield self.step()

    def step(self) -> MetaStep:
        """Average the meta-gradients of some fresh learners and take one outer step."""
        seeds = [
            derived_seed(self.config.seed, self.iteration, i)
            for i in range(self.config.learners_per_step)
        ]
        results = [self.meta_gradient(seed) for seed in seeds]
        count = len(results)
        gradients = [
            sum(parts, start=torch.tensor(0.0)) / count
            for parts in zip(*(r[0] for r in results), strict=True)
        ]
        meta_loss = sum(r[1] for r in results) / count
        accuracy = sum(r[2] for r in results) / count
        norm = float(torch.stack([g.norm() for g in gradients]).norm())
        skipped = not (math.isfinite(norm) and math.isfinite(meta_loss))
        if skipped:
            self._skip()
        else:
            self._apply(gradients, norm)
        self.iteration += 1
        return MetaStep(self.iteration, meta_loss, accuracy, norm, skipped)

    def meta_gradient(self, seed: int) -> tuple[list[Tensor], float, float]:
        """Teach one fresh learner and differentiate what it then gets wrong on real images.

        Returns:
            The gradient of every parameter of the source, the meta-loss and the accuracy (0-1) at
            the window's end.
        """
        rng = torch.Generator().manual_seed(seed)
        learner = self.sample_learner(seed).train()
        lesson = self.source.lesson(rng)
        size = min(self.config.window or lesson.steps, lesson.steps)
        start = int(torch.randint(lesson.steps - size + 1, (1,), generator=rng))
        loss, accuracy = self._meta_loss(learner, lesson, range(start, start + size), rng)
        gradients = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        filled = [
            torch.zeros_like(p) if g is None else g
            for g, p in zip(gradients, self.parameters, strict=True)
        ]
        return filled, loss.item(), accuracy

    def _meta_loss(
        self, learner: nn.Module, lesson: Lesson, window: range, rng: torch.Generator
    ) -> tuple[Tensor, float]:
        """Return the final real-data loss plus the mean of the intermediate ones."""
        batch = torch.randperm(len(self.labels), generator=rng)[: self.config.real_batch_size]
        images, labels = self.images[batch], self.labels[batch]
        between: list[Tensor] = []
        parameters: Parameters = {}
        for step, parameters in unroll(learner, lesson, window=window):
            left = window.stop - 1 - step
            if step >= window.start and left > 0 and left % self.config.loss_every == 0:
                logits = functional_call(learner, parameters, (images,))
                between.append(F.cross_entropy(logits, labels))
        logits = functional_call(learner, parameters, (images,))
        loss = F.cross_entropy(logits, labels)
        if between:
            loss = loss + torch.stack(between).mean()
        return loss, (logits.argmax(1) == labels).float().mean().item()

    def _apply(self, gradients: list[Tensor], norm: float) -> None:
        """Clip against the moving average of the norm and let the optimiser step."""
        config = self.config
        limit = config.clip_factor * self.mean_norm if self.mean_norm else norm
        scale = min(1.0, limit / norm) if norm > 0 else 1.0
        self.mean_norm = 0.9 * self.mean_norm + 0.1 * norm * scale if self.mean_norm else norm
        progress = self.iteration / config.iterations
        decay = 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * progress))
        for group in self.optimiser.param_groups:
            group["lr"] = group["base"] * decay
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient * scale
        self.optimiser.step()
        self.skipped_in_a_row = 0

    def _skip(self) -> None:
        """Count a step that was not finite; give up after ten in a row."""
        self.skipped += 1
        self.skipped_in_a_row += 1
        if self.skipped_in_a_row >= MAX_SKIPPED_IN_A_ROW:
            raise MetaTrainingError(
                f"meta-training: {MAX_SKIPPED_IN_A_ROW} steps in a row were not finite (at "
                f"iteration {self.iteration}); lower --learning-rate or set a --window"
            )

    def state_dict(self) -> dict[str, object]:
        """Return all that a resumed run needs, as tensors and plain numbers."""
        return {
            "source": self.source.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "iteration": self.iteration,
            "mean_norm": self.mean_norm,
            "skipped": self.skipped,
            "skipped_in_a_row": self.skipped_in_a_row,
        }

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Continue from what ``state_dict`` returned."""
        self.source.load_state_dict(state["source"])  # type: ignore[arg-type]  # saved as such
        self.optimiser.load_state_dict(state["optimiser"])  # type: ignore[arg-type]  # likewise
        for name in ("iteration", "mean_norm", "skipped", "skipped_in_a_row"):
            setattr(self, name, state[name])
