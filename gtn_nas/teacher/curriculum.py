"""The teacher: its generator, its curriculum and the step sizes of its learners."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gtn_nas.config.pretrain import Curriculum
from gtn_nas.teacher.generator import Generator
from gtn_nas.teacher.inner_loop import Lesson

DRAWN_AT_ONCE = 4096
"""Largest number of images in one pass of the generator; it takes one whole batch or more."""
MAX_LEARNING_RATE = 4.0
SMOOTHING = 0.1
"""Label smoothing of learned labels at their start: the share of probability that is spread evenly
over all classes."""


@dataclass(frozen=True)
class TeacherConfig:
    """Sizes of a teacher.

    Attributes:
        image_shape: channels, height and width.
        num_classes: number of labels.
        inner_steps: batches in a lesson (T).
        batch_size: images in a batch (B).
        noise_dim: length of a noise vector.
        hidden: units of the generator's first layer.
        channels: channels of the generator's smallest feature map.
        soft_labels: whether to learn the class probabilities of every image, instead of fixed
            labels. It has no effect with the curriculum ``none``, whose images are new in every
            lesson.
        curriculum: what else is learned, and in which order it is shown; see ``Curriculum``.
    """

    image_shape: tuple[int, int, int]
    num_classes: int
    inner_steps: int = 32
    batch_size: int = 64
    noise_dim: int = 64
    hidden: int = 256
    channels: int = 64
    soft_labels: bool = True
    curriculum: Curriculum = "full"


def cosine(steps: int) -> Tensor:
    """Return half a cosine that falls from 1 to 1/20, ``(steps,)``."""
    fall = 0.5 * (1 + torch.cos(math.pi * torch.arange(steps) / steps))
    return fall.clamp(min=0.05)


class StepSizes(nn.Module):
    """A learned learning rate and momentum for every step (Such et al. 2019, section 3.1).

    Rates are stored as logarithms with an upper bound, and momenta as logits, so that they are
    valid after any update.
    """

    def __init__(self, steps: int, learning_rate: float = 0.8, momentum: float = 0.5) -> None:
        super().__init__()
        self.log_rate = nn.Parameter(torch.empty(steps))
        self.momentum_logit = nn.Parameter(
            torch.full((steps,), math.log(momentum / (1 - momentum)))
        )
        self.start_at(learning_rate)

    def start_at(self, learning_rate: float) -> None:
        """Set the rates to half a cosine that falls from ``learning_rate`` to 1/20 of it."""
        with torch.no_grad():
            self.log_rate.copy_((learning_rate * cosine(len(self.log_rate))).log())

    def forward(self) -> tuple[Tensor, Tensor]:
        """Return learning rates and momenta, each ``(T,)``."""
        rates = self.log_rate.clamp(max=math.log(MAX_LEARNING_RATE)).exp()
        return rates, self.momentum_logit.sigmoid()


class Teacher(nn.Module):
    """A Generative Teaching Network with a curriculum.

    The generator draws images of all classes, spread evenly over each batch. The label of an image
    is its class, or learned class probabilities. Source: Such et al. 2019, arXiv 1912.07768,
    section 3.2.

    Attributes:
        generator: draws the images; ``None`` if pixels are learned.
        noise: ``(T, B, noise_dim)``, the noise vector of each image; ``None`` if noise is drawn
            anew for every lesson, or if pixels are learned.
        pixels: ``(T, B, C, H, W)`` learned images, or ``None``.
        labels: ``(T, B)`` class indices.
        label_logits: ``(T, B, classes)``, or ``None`` if labels are not learned.
        step_sizes: learning rate and momentum of the learners for each step.
    """

    def __init__(self, config: TeacherConfig) -> None:
        super().__init__()
        self.config = config
        steps, batch, kind = config.inner_steps, config.batch_size, config.curriculum
        self.generator: Generator | None = None
        self.noise: nn.Parameter | None = None
        self.pixels: nn.Parameter | None = None
        if kind == "pixels":
            self.pixels = nn.Parameter(torch.randn(steps, batch, *config.image_shape))
        else:
            self.generator = Generator(
                config.noise_dim,
                config.num_classes,
                config.image_shape,
                config.hidden,
                config.channels,
            )
        if kind not in ("pixels", "none"):
            noise = torch.randn(steps, batch, config.noise_dim)
            self.noise = nn.Parameter(noise, requires_grad=kind != "fixed_noise")
        self.step_sizes = StepSizes(steps)
        labels = torch.arange(steps * batch) % config.num_classes
        self.labels: Tensor
        self.register_buffer("labels", labels.view(steps, batch))
        self.label_logits: nn.Parameter | None = None
        if config.soft_labels and kind != "none":
            certain = F.one_hot(self.labels, config.num_classes)
            smooth = certain * (1 - SMOOTHING) + SMOOTHING / config.num_classes
            self.label_logits = nn.Parameter(smooth.log())

    def lesson(self, rng: torch.Generator | None = None) -> Lesson:
        """Draw all batches of the lesson.

        Args:
            rng: draws fresh noise and random orders; by default it has the seed 0.
        """
        rng = rng or torch.Generator().manual_seed(0)
        images = self._images(rng)
        labels = self.labels if self.label_logits is None else self.label_logits.softmax(-1)
        order = self._order(rng)
        if order is not None:
            images, labels = images.flatten(0, 1)[order], labels.flatten(0, 1)[order]
        return Lesson(images, labels, *self.step_sizes())

    def _images(self, rng: torch.Generator) -> Tensor:
        """Return the images ``(T, B, C, H, W)`` before a random order is applied."""
        if self.generator is None:
            assert self.pixels is not None  # noqa: S101  (one of the two is there)
            return self.pixels
        noise: Tensor | None = self.noise
        if noise is None:
            size = (*self.labels.shape, self.config.noise_dim)
            noise = torch.randn(size, generator=rng).to(self.labels.device)
        images = self._drawn(self.generator, noise.flatten(0, 1), self.labels.flatten())
        return images.view(*self.labels.shape, *images.shape[1:])

    def _drawn(self, generator: Generator, noise: Tensor, labels: Tensor) -> Tensor:
        """Draw ``(N, C, H, W)`` images, in parts if there are many.

        To save memory, the graph of a part is not kept but computed again in the backward pass.
        Batch normalisation uses the statistics of one part at a time.

        Args:
            generator: draws the images.
            noise: ``(N, noise_dim)``.
            labels: ``(N,)`` class indices.
        """
        batch = self.config.batch_size
        size = batch * max(1, DRAWN_AT_ONCE // batch)
        parts = list(zip(torch.split(noise, size), torch.split(labels, size), strict=True))
        if len(parts) == 1:
            drawn: Tensor = generator(noise, labels)
            return drawn
        return torch.cat([checkpoint(generator, *part, use_reentrant=False) for part in parts])

    def _order(self, rng: torch.Generator) -> Tensor | None:
        """Return the indices ``(T, B)`` of the images to show, or ``None`` to keep their order."""
        steps, batch = self.labels.shape
        places = torch.arange(steps * batch).view(steps, batch)
        if self.config.curriculum == "shuffled_batch":
            return places[torch.randperm(steps, generator=rng)]
        if self.config.curriculum == "all_shuffled":
            return torch.randperm(steps * batch, generator=rng).view(steps, batch)
        return None


class RealData(nn.Module):
    """The control experiment: learners train on real batches, and only step sizes are learned.

    Args:
        images: ``(N, C, H, W)`` normalised training images.
        labels: ``(N,)`` class indices.
        inner_steps: batches in a lesson (T).
        batch_size: images in a batch (B).
    """

    def __init__(self, images: Tensor, labels: Tensor, inner_steps: int, batch_size: int) -> None:
        super().__init__()
        self.images, self.labels = images, labels
        self.inner_steps, self.batch_size = inner_steps, batch_size
        self.step_sizes = StepSizes(inner_steps)

    def lesson(self, rng: torch.Generator) -> Lesson:
        """Draw batches without replacement, in as many passes over the data as needed."""
        rates, momenta = self.step_sizes()
        return real_lesson(self.images, self.labels, self.batch_size, rates, momenta, rng)


def real_lesson(
    images: Tensor,
    labels: Tensor,
    batch_size: int,
    rates: Tensor,
    momenta: Tensor,
    rng: torch.Generator,
) -> Lesson:
    """Return a lesson of shuffled real batches, as many as there are learning rates."""
    steps, needed = len(rates), len(rates) * batch_size
    passes = math.ceil(needed / len(labels))
    order = torch.cat([torch.randperm(len(labels), generator=rng) for _ in range(passes)])
    order = order[:needed].view(steps, batch_size).to(images.device)
    return Lesson(images[order], labels[order], rates, momenta)
