"""What a meta-training will need, found out before it starts."""

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
from gtn_nas.teacher.meta_training import MetaTrainer, Shared
from gtn_nas.trial import derived_seed

LEARNERS = 3
"""Learners that are tried; their costs differ by a factor of ten and more."""
PASSING = 2.0
"""Peak over what a forward pass keeps: gradients of the same sizes come beside it."""
SECOND_ORDER = 3.0
"""What a gradient of a gradient keeps, in forward passes."""
GIGABYTE = 1e9


@dataclass(frozen=True)
class Estimate:
    """What a meta-training needs.

    Attributes:
        train_s: seconds of all outer steps.
        memory_bytes: peak of what a process holds beside the libraries.
        free_bytes: what the device, or the machine, has free now.
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
    """Return the bytes that one process needs.

    Args:
        trainer: at its start.
        processes: how many share the machine's memory.

    Raises:
        ResourceError: there is not so much free.
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
    """Try some learners and extrapolate; nothing is learned by that.

    Args:
        trainer: at its start.
        processes: workers that share the learners of a step.

    Raises:
        ResourceError: the memory does not suffice.
    """
    needed = check_memory(trainer, processes)
    seeds = [derived_seed("estimate", i) for i in range(LEARNERS + 1)]
    middle = Shared((trainer.steps - trainer.window) // 2)
    trainer.meta_gradient(seeds.pop(), middle)  # the first is slower than all others
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
    """Return the bytes of data, of the generator's graph and of the largest learner's step."""
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
    """Return the bytes that a forward pass keeps for its backward pass."""
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    parameters = {n: p.detach().requires_grad_() for n, p in module.named_parameters()}
    with saved_tensors_hooks(pack, lambda tensor: tensor):
        functional_call(module, parameters, inputs)
    return sum(kept.values())
