"""Estimate of the time and memory of a meta-training, before it starts."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call

from gtn_nas.errors import ResourceError
from gtn_nas.pretraining.memory import free_bytes
from gtn_nas.teacher.curriculum import RealData, Teacher
from gtn_nas.teacher.hypergradient import JUDGED_AT_ONCE
from gtn_nas.teacher.meta_gradient import Shared
from gtn_nas.teacher.meta_training import MetaTrainer
from gtn_nas.trial import derived_seed

LEARNERS = 3
"""Number of learners that are tried. One is not enough: their costs differ tenfold and more."""
PASSING = 2.0
"""Ratio of peak memory to the memory that forward passes keep, since gradients of equal size are
added."""
SECOND_ORDER = 3.0
"""Memory that the gradient of a gradient keeps, as a multiple of what a forward pass keeps."""
GIGABYTE = 1e9


@dataclass(frozen=True)
class Estimate:
    """Time and memory that a meta-training needs.

    Attributes:
        train_s: seconds of all outer steps.
        memory_bytes: peak memory of one process in bytes, without the libraries.
        free_bytes: free memory of the GPU, or else of the machine, in bytes.
    """

    train_s: float
    memory_bytes: float
    free_bytes: float

    def __str__(self) -> str:
        hours, minutes = divmod(round(self.train_s / 60), 60)
        duration = f"{hours} h {minutes} min" if hours else f"{max(minutes, 1)} min"
        return (
            f"about {duration} and {self.memory_bytes / GIGABYTE:.1f} GB "
            f"({self.free_bytes / GIGABYTE:.1f} GB are free)"
        )


def check_memory(trainer: MetaTrainer, processes: int) -> float:
    """Return the memory in bytes that one process needs.

    Args:
        trainer: the trainer, before its first step.
        processes: number of processes that share the machine's memory.

    Raises:
        ResourceError: all processes together need more memory than is free.
    """
    needed = _memory_bytes(trainer)
    free = free_bytes(trainer.images.device)
    if needed * processes > free:
        each = f"{needed / GIGABYTE:.1f} GB"
        raise ResourceError(
            f"this meta-training needs about {each if processes == 1 else f'{processes} x {each}'}"
            f" and {free / GIGABYTE:.1f} GB are free; lower --inner-steps, --batch-size, "
            "--channels or --image-size"
        )
    return needed


def estimate(trainer: MetaTrainer, processes: int) -> Estimate:
    """Measure the meta-gradients of a few learners and extrapolate; the teacher stays unchanged.

    Args:
        trainer: the trainer, before its first step.
        processes: number of workers that share the learners of an outer step.

    Raises:
        ResourceError: there is not enough free memory.
    """
    needed = check_memory(trainer, processes)
    seeds = [derived_seed("estimate", i) for i in range(LEARNERS + 1)]
    middle = Shared((trainer.steps - trainer.window) // 2)
    trainer.meta_gradient(seeds.pop(), middle)  # not timed: the first is always slower
    begun = time.perf_counter()
    for seed in seeds:
        trainer.meta_gradient(seed, middle)
    each_s = (time.perf_counter() - begun) / LEARNERS
    config = trainer.config
    rounds = -(-config.learners_per_step // processes)
    return Estimate(
        train_s=config.iterations * rounds * each_s,
        memory_bytes=needed,
        free_bytes=free_bytes(trainer.images.device),
    )


def _memory_bytes(trainer: MetaTrainer) -> float:
    """Return the bytes of the images, the generator's graph and the largest learner's step."""
    source = trainer.source
    data = trainer.images.nbytes
    lesson = 0.0
    if isinstance(source, Teacher):
        batch = source.config.batch_size
        shown = trainer.images[:batch]
        lesson = 3.0 * source.config.inner_steps * shown.nbytes
        if source.generator is not None:
            noise = torch.randn(batch, source.config.noise_dim, device=shown.device)
            labels = source.labels[0]
            lesson += source.config.inner_steps * _kept_bytes(source.generator, noise, labels)
    else:
        shown = trainer.images[: _batch_size(source)]
    real = trainer.images[: min(trainer.config.real_batch_size, JUDGED_AT_ONCE)]
    learners = 0.0
    for i in range(LEARNERS):
        learner = trainer.sample_learner(derived_seed("estimate", i)).train()
        step = SECOND_ORDER * _kept_bytes(learner, shown)
        learners = max(learners, step, _kept_bytes(learner, real))
    return data + PASSING * (lesson + learners)


def _batch_size(source: RealData) -> int:
    return source.batch_size


def _kept_bytes(module: nn.Module, *inputs: Tensor) -> int:
    """Return the bytes that autograd saves in a forward pass for the backward pass."""
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    parameters = {n: p.detach().requires_grad_() for n, p in module.named_parameters()}
    with saved_tensors_hooks(pack, lambda tensor: tensor):
        functional_call(module, parameters, inputs)
    return sum(kept.values())
