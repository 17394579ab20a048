"""Meta-training: learn the lesson that teaches freshly sampled learners best.

Source: Such et al. 2019, arXiv 1912.07768, sections 2 and 3. The remedies against unstable
meta-gradients (random windows, clipping against a moving average, an outer second-moment decay of
0.9) follow Feng et al. 2023, arXiv 2310.04418. The norms of the meta-gradients of different
learners differ by orders of magnitude. So the moving average is one of their logarithms, and each
learner's gradient is clipped separately: no single chaotic learner dominates a step, or the
average that later steps are clipped by.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from gtn_nas.errors import MetaTrainingError
from gtn_nas.teacher.curriculum import RealData, Teacher
from gtn_nas.teacher.hypergradient import RealBatch, lesson_gradient
from gtn_nas.teacher.meta_config import MetaConfig, parameter_groups
from gtn_nas.teacher.meta_gradient import (
    NOTHING_SHARED,
    Exchange,
    MetaGradient,
    SampleLearner,
    Shared,
)
from gtn_nas.teacher.ranking_term import ranking_derivatives
from gtn_nas.trial import derived_seed

Augment = Callable[[Tensor], Tensor]
"""Distorts images ``(N, C, H, W)`` at random, with torch's global random generator."""

Truth = Callable[[int], float]
"""Returns the true quality of a learner's architecture from the learner's seed; higher is
better."""

MAX_SKIPPED_IN_A_ROW = 10
WARM_UP = 20
"""Outer steps in which the outer learning rates rise, since Adam's first steps change every weight
by the whole rate, however small its gradient is."""
TINY = 1e-12
LEAST_RANKED = 2
"""Smallest number of learners in an outer step for which there is a ranking term."""


@dataclass(frozen=True)
class MetaStep:
    """Measurements of one outer step.

    Attributes:
        iteration: number of outer steps done so far, including this one.
        meta_loss: mean real-data cross-entropy over the step's learners and meta-losses.
        accuracy: mean accuracy (0-1) on the real batch at the end of the window.
        gradient_norm: mean norm of the learners' meta-gradients, before clipping.
        skipped: whether the step was skipped because no learner's gradient was finite.
    """

    iteration: int
    meta_loss: float
    accuracy: float
    gradient_norm: float
    skipped: bool


class MetaTrainer:
    """The outer loop, one step at a time; its state can be saved and loaded after any step.

    All randomness of an outer step depends on (seed, iteration) only, so that a meta-training that
    was interrupted and resumed gives exactly the same teacher as one that was not.

    Args:
        source: the teacher, or the control ``RealData``, whose parameters are learned.
        config: settings of the outer loop.
        sample_learner: builds a fresh learner from a seed.
        images: ``(N, C, H, W)`` normalised real training images.
        labels: ``(N,)`` class indices.
        augment: distorts half of the real images of a meta-loss, so that the teacher does not
            overfit to its training images; ``None`` for no distortion.
        truth: true quality of learners, by which the ranking term orders them; required if the
            term has a weight.

    Attributes:
        exchange: computes the meta-gradients of an outer step. By default the trainer itself
            computes them, one after the other.
    """

    def __init__(
        self,
        source: Teacher | RealData,
        config: MetaConfig,
        sample_learner: SampleLearner,
        images: Tensor,
        labels: Tensor,
        augment: Augment | None = None,
        truth: Truth | None = None,
    ) -> None:
        if config.ranking_weight and (truth is None or config.learners_per_step < LEAST_RANKED):
            raise ValueError("a ranking term needs truths, and two learners or more in a step")
        self.truth = truth
        self.source, self.config, self.sample_learner = source, config, sample_learner
        self.images, self.labels, self.augment = images, labels, augment
        groups = parameter_groups(source, config)
        self.parameters = [p for group in groups for p in group["params"]]
        # eps is far below the gradients of single noise values and labels, which are about 1e-6.
        self.optimiser = torch.optim.Adam(groups, betas=(0.9, 0.9), eps=1e-8)
        self.exchange: Exchange = lambda seeds, shared: [
            self.meta_gradient(seed, shared) for seed in seeds
        ]
        self.iteration = 0
        self.log_norm: float | None = None
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
        """Average the meta-gradients of fresh learners and take one outer step.

        Learners whose gradient is not finite are left out. If none is finite, the step is skipped.
        """
        seeds = [
            derived_seed(self.config.seed, self.iteration, i)
            for i in range(self.config.learners_per_step)
        ]
        results = self.exchange(seeds, self._shared())
        finite = [r for r in results if math.isfinite(r.norm) and math.isfinite(r.loss)]
        if finite:
            self.apply(finite)
        else:
            self._skip()
        self.iteration += 1
        shown, count = finite or results, len(finite or results)
        return MetaStep(
            self.iteration,
            meta_loss=sum(r.loss for r in shown) / count,
            accuracy=sum(r.accuracy for r in shown) / count,
            gradient_norm=sum(r.norm for r in shown) / count,
            skipped=not finite,
        )

    @property
    def steps(self) -> int:
        """Number of inner steps of the lesson."""
        return len(self.source.step_sizes.log_rate)

    @property
    def window(self) -> int:
        """Number of inner steps that are differentiated."""
        return min(self.config.window or self.steps, self.steps)

    def _shared(self) -> Shared:
        """Choose the values that all learners of this outer step share.

        The window is the same for all of them, so that their losses can be compared. It starts at
        random, unless learners are ranked. Then it is at the lesson's end, since candidates are
        ranked after the whole lesson: earlier in it, small networks have the lowest losses, even
        those that are worse later. Ranked learners also share the seed of their weights and the
        real images, since random differences of either would hide those between architectures.
        """
        config, iteration = self.config, self.iteration
        if self.truth is not None:
            draws = derived_seed(config.seed, iteration, "draws")
            return Shared(self.steps - self.window, draws)
        rng = random.Random(derived_seed(config.seed, iteration, "window"))
        return Shared(rng.randrange(self.steps - self.window + 1))

    def meta_gradient(self, seed: int, shared: Shared = NOTHING_SHARED) -> MetaGradient:
        """Teach one fresh learner and differentiate its loss on real images.

        Args:
            seed: seed of the learner's architecture. It is also the seed of its weights and real
                images, unless ``shared`` has one for them.
            shared: values that all learners of this outer step share.
        """
        rng = torch.Generator().manual_seed(seed)
        learner = self.sample_learner(seed, shared.draws).train()
        lesson = self.source.lesson(rng)
        images = seed
        if shared.draws is not None:
            images = shared.draws
            rng.manual_seed(images)
        result = lesson_gradient(
            learner,
            lesson,
            range(shared.start, shared.start + self.window),
            self._real_batch(images, rng),
            loss_every=self.config.loss_every,
            seed=seed,
        )
        learned = [
            (tensor, gradient)
            for tensor, gradient in zip(lesson.tensors, result.gradient.tensors, strict=True)
            if tensor.requires_grad
        ]
        gradients = torch.autograd.grad(
            [tensor for tensor, _ in learned], self.parameters, [given for _, given in learned]
        )
        norm = torch.stack([g.norm() for g in gradients]).norm().item()
        return MetaGradient(seed, list(gradients), norm, result.loss, result.accuracy)

    def _real_batch(self, seed: int, rng: torch.Generator) -> RealBatch:
        """Draw the real images of a meta-loss; distort half of them if there is augmentation."""
        batch = torch.randperm(len(self.labels), generator=rng)[: self.config.real_batch_size]
        images, labels = self.images[batch], self.labels[batch]
        if self.augment is not None:
            torch.manual_seed(derived_seed(seed, "augmentation"))
            plain, distorted = images.tensor_split(2)
            images = torch.cat([plain, self.augment(distorted)])
        return RealBatch(images, labels)

    def apply(self, results: list[MetaGradient]) -> None:
        """Clip each learner's gradient, average them, and let the optimiser step."""
        config = self.config
        scales = [
            factor * self._clip(result.norm)
            for factor, result in zip(self._factors(results), results, strict=True)
        ]
        progress = self.iteration / config.iterations
        decay = 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * progress))
        rise = min(1.0, (self.iteration + 1) / min(WARM_UP, 1 + config.iterations // 10))
        for group in self.optimiser.param_groups:
            group["lr"] = group["base"] * decay * rise
        for index, parameter in enumerate(self.parameters):
            parts = [s * r.gradients[index] for s, r in zip(scales, results, strict=True)]
            parameter.grad = torch.stack(parts).sum(0)
        self.optimiser.step()
        self.skipped_in_a_row = 0

    def _factors(self, results: list[MetaGradient]) -> list[float]:
        """Return the derivative of the step's objective with respect to each learner's loss."""
        factors = [1 / len(results)] * len(results)
        config = self.config
        if self.truth is None or not config.ranking_weight:
            return factors
        losses = [result.loss for result in results]
        truths = [self.truth(result.seed) for result in results]
        pushes = ranking_derivatives(losses, truths, config.ranking_sharpness)
        return [f + config.ranking_weight * p for f, p in zip(factors, pushes, strict=True)]

    def _clip(self, norm: float) -> float:
        """Return the factor that clips a gradient of this norm; update the moving average."""
        log_norm = math.log(max(norm, TINY))
        if self.log_norm is None:
            self.log_norm = log_norm
        self.log_norm += 0.1 * (log_norm - self.log_norm)
        return min(1.0, self.config.clip_factor * math.exp(self.log_norm - log_norm))

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
        """Return the state that a resumed meta-training needs, as tensors and plain numbers."""
        return {
            "source": self.source.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "iteration": self.iteration,
            "log_norm": self.log_norm,
            "skipped": self.skipped,
            "skipped_in_a_row": self.skipped_in_a_row,
        }

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Continue from a state that ``state_dict`` returned."""
        self.source.load_state_dict(state["source"])  # type: ignore[arg-type]  # saved as such
        self.optimiser.load_state_dict(state["optimiser"])  # type: ignore[arg-type]  # as above
        for name in ("iteration", "log_norm", "skipped", "skipped_in_a_row"):
            setattr(self, name, state[name])
