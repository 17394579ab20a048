from typing import Any

import torch
from torch import Tensor, nn

from gtn_nas.data.base import ImageDataset
from gtn_nas.spaces import get_space
from gtn_nas.teacher.artifact import TeacherHeader
from gtn_nas.teacher.curriculum import Teacher, TeacherConfig

SPACE = get_space("conv_chain")
SHAPE, CLASSES = (1, 8, 8), 10
STEPS, BATCH = 4, 20
"""Size of the lessons."""


def make_teacher(seed: int = 0, **sizes: Any) -> Teacher:
    smallest = {"inner_steps": STEPS, "batch_size": BATCH, "noise_dim": 4, "hidden": 16}
    sizes = {"image_shape": SHAPE, "num_classes": CLASSES, "channels": 8} | smallest | sizes
    torch.manual_seed(seed)
    return Teacher(TeacherConfig(**sizes))


def header_of(teacher: Teacher, **values: Any) -> TeacherHeader:
    """A header that fits."""
    config = teacher.config
    return TeacherHeader(
        dataset="digits",
        fingerprint="0123456789abcdef",
        split_seed=0,
        classes=tuple("0123456789"),
        mean=(0.3,),
        std=(0.4,),
        image_shape=config.image_shape,
        space="conv_chain",
        inner_steps=config.inner_steps,
        batch_size=config.batch_size,
        generator={n: getattr(config, n) for n in ("noise_dim", "hidden", "channels")},
        soft_labels=config.soft_labels,
        curriculum=config.curriculum,
        meta_training={"iterations": 4, "learning_rate": 0.001, "window": None},
        seed=0,
        versions={"torch": "2"},
        **values,
    )


def make_learner(seed: int = 0, **choices: Any) -> nn.Module:
    """A small network, two layers deep; other choices on demand."""
    smallest = {name: options[0] for name, options in SPACE.choices.items()}
    torch.manual_seed(seed)
    return SPACE.build(SPACE.architecture(smallest | choices), SHAPE, CLASSES, "proxy")


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in module.named_parameters()}


def are_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def train_images(digits: ImageDataset) -> tuple[Tensor, Tensor]:
    return digits.normalise(digits.train.images), digits.train.labels
