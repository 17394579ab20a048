"""Settings of the outer loop, and the outer learning rate of each parameter of a teacher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from gtn_nas.teacher.curriculum import RealData, Teacher


@dataclass(frozen=True)
class MetaConfig:
    """Settings of the outer loop of a meta-training.

    Attributes:
        iterations: outer steps.
        learners_per_step: learners whose meta-gradients are averaged in one outer step.
        real_batch_size: real images in one meta-loss.
        window: number of successive inner steps that are differentiated; ``None`` for all. Where
            they start in the lesson is random, unless learners are ranked.
        loss_every: inner steps between intermediate meta-losses inside the window.
        learning_rate: outer learning rate of the generator, or of learned pixels. Like all outer
            rates it rises over the first steps, and then falls by a cosine to a tenth.
        noise_learning_rate: outer learning rate of learned noise.
        label_learning_rate: outer learning rate of learned labels.
        step_size_learning_rate: outer learning rate of the learners' learning rates and momenta.
        ranking_weight: weight of the ranking term, which is added to the mean loss; 0 for none.
        ranking_sharpness: factor of a difference of losses in the ranking term.
        rate_scale: factor of all four outer learning rates.
        clip_factor: largest gradient norm of a learner, in multiples of the moving geometric mean
            of such norms.
        seed: seed of everything that is random.
    """

    iterations: int
    learners_per_step: int = 1
    real_batch_size: int = 2048
    window: int | None = None
    loss_every: int = 16
    learning_rate: float = 0.001
    noise_learning_rate: float = 0.03
    label_learning_rate: float = 0.03
    step_size_learning_rate: float = 0.003
    ranking_weight: float = 0.0
    ranking_sharpness: float = 40.0
    rate_scale: float = 1.0
    clip_factor: float = 2.0
    seed: int = 0


def parameter_groups(source: Teacher | RealData, config: MetaConfig) -> list[dict[str, Any]]:
    """Group the parameters that are learned by their outer learning rate.

    Returns:
        Parameter groups for a torch optimiser. ``base`` is the group's outer learning rate before
        it is scheduled.
    """
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in source.named_parameters():
        if not parameter.requires_grad:
            continue
        if name.startswith("step_sizes."):
            rate = config.step_size_learning_rate
        elif name == "noise":
            rate = config.noise_learning_rate
        elif name == "label_logits":
            rate = config.label_learning_rate
        else:
            rate = config.learning_rate
        groups.setdefault(rate * config.rate_scale, []).append(parameter)
    return [{"params": parameters, "base": rate} for rate, parameters in groups.items()]
