"""Warm start of a teacher: before meta-training, its generator learns to draw real images.

With random weights a generator draws noise. Learners learn nothing from it, and the meta-gradient
is weak and chaotic for hundreds of outer steps. So noise vectors and generator are first fitted to
real training images, one image for each noise vector. Meta-training then starts with a lesson that
teaches about as well as the same number of real batches.

Source: the fit is that of Bojanowski et al. 2018, arXiv 1707.05776 (generative latent
optimisation), section 3, with a squared loss. Its use to start a teacher is our own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gtn_nas.teacher.curriculum import Teacher
from gtn_nas.teacher.generator import RANGE

BATCH = 512
LEARNING_RATE = 0.01
EDGE = 0.99
"""Share of the generator's range to which targets are clamped; a tanh never reaches its limits."""


def warm_start(
    teacher: Teacher,
    images: Tensor,
    labels: Tensor,
    augment: Callable[[Tensor], Tensor] | None,
    steps: int,
    seed: int,
) -> Iterator[float]:
    """Fit a teacher to training images: one for each synthetic image, of the same class.

    Args:
        teacher: trained in place.
        images: ``(N, C, H, W)`` normalised training images.
        labels: ``(N,)`` class indices.
        augment: distorts the chosen images; ``None`` to leave them as they are.
        steps: number of Adam steps.
        seed: seed of the chosen images, their distortions and the batches.

    Yields:
        The mean squared error of each step.
    """
    rng = torch.Generator().manual_seed(seed)
    chosen = choose_targets(labels, teacher.labels.flatten(), rng)
    torch.manual_seed(seed)
    targets = images[chosen] if augment is None else augment(images[chosen])
    yield from fit_to_images(teacher, targets, steps, rng)


def choose_targets(labels: Tensor, wanted: Tensor, rng: torch.Generator) -> Tensor:
    """Choose a training image of the same class for each synthetic image.

    All training images of a class are chosen about equally often.

    Args:
        labels: ``(N,)`` classes of the training images, each class at least once.
        wanted: ``(M,)`` classes of the synthetic images.
        rng: draws the choice.

    Returns:
        ``(M,)`` indices of training images.
    """
    chosen = torch.empty_like(wanted)
    for label in torch.unique(wanted):
        places, pool = (wanted == label).nonzero()[:, 0], (labels == label).nonzero()[:, 0]
        passes = math.ceil(len(places) / len(pool))
        order = [torch.randperm(len(pool), generator=rng) for _ in range(passes)]
        chosen[places] = pool[torch.cat(order)[: len(places)].to(pool.device)]
    return chosen


def fit_to_images(
    teacher: Teacher, targets: Tensor, steps: int, rng: torch.Generator
) -> Iterator[float]:
    """Fit noise and generator to real images, one target for each synthetic image.

    Learned pixels are set to the targets without any training. If the teacher keeps no noise, noise
    is drawn and fitted here, and then dropped.

    Args:
        teacher: trained in place.
        targets: ``(T * B, C, H, W)`` normalised images, in the order of the lesson.
        steps: number of Adam steps; the learning rate falls to zero by half a cosine.
        rng: draws the batches.

    Yields:
        The mean squared error of each step.
    """
    generator, labels, noise = teacher.generator, teacher.labels.flatten(), teacher.noise
    if generator is None:
        if teacher.pixels is not None:
            teacher.pixels.data.copy_(targets.view_as(teacher.pixels))
        return
    if noise is None:
        fresh = torch.randn((*teacher.labels.shape, teacher.config.noise_dim), generator=rng)
        noise = nn.Parameter(fresh.to(labels.device))
    targets = targets.clamp(-EDGE * RANGE, EDGE * RANGE)
    learned = [p for p in (noise, *generator.parameters()) if p.requires_grad]
    optimiser = torch.optim.Adam(learned, lr=LEARNING_RATE)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = (
            LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
        )
        batch = torch.randperm(len(labels), generator=rng)[:BATCH].to(labels.device)
        drawn = generator(noise.flatten(0, 1)[batch], labels[batch])
        loss = F.mse_loss(drawn, targets[batch])
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        yield loss.item()
