"""Makes a teacher with a longer lesson by repeating the lesson of another teacher.

Run ``python -m experiments.tools.longer_lesson SHORT.safetensors --inner-steps 64 --out
LONG.safetensors``, then continue meta-training with ``gtn-nas pretrain --inner-steps 64 --start
LONG.safetensors``. The longer lesson begins with the shorter one, until meta-training changes it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from experiments.shared.arguments import parser
from gtn_nas.teacher.artifact import load_teacher, save_teacher
from gtn_nas.teacher.curriculum import Teacher


def places(steps: int, batch: int, inner_steps: int, num_classes: int) -> Tensor:
    """Return, for each image of the longer lesson, the index of its image in the shorter one.

    The images of a lesson go through the classes in turn, so each repetition must begin with an
    image of the next class.

    Args:
        steps: batches of the shorter lesson.
        batch: images in a batch.
        inner_steps: batches of the longer lesson.
        num_classes: number of classes.

    Returns:
        Indices, ``(inner_steps * batch,)``.
    """
    images, wanted = steps * batch, torch.arange(inner_steps * batch)
    whole = images - images % num_classes
    return torch.where(wanted < images, wanted, wanted % whole)


def longer(teacher: Teacher, inner_steps: int) -> Teacher:
    """Return a teacher whose lesson repeats that of another teacher.

    Args:
        teacher: the other teacher, which has a generator and learned noise in a fixed order.
        inner_steps: batches of the new lesson, more than those of the other.
    """
    sizes = teacher.config
    made = Teacher(replace(sizes, inner_steps=inner_steps))
    source = places(sizes.inner_steps, sizes.batch_size, inner_steps, sizes.num_classes)
    state = teacher.state_dict() | {"labels": made.labels}
    for name in ("noise", "label_logits"):
        kept = state[name].flatten(0, 1)[source]
        state[name] = kept.view(inner_steps, sizes.batch_size, -1)
    steps = torch.arange(inner_steps) % sizes.inner_steps
    for name in ("step_sizes.log_rate", "step_sizes.momentum_logit"):
        state[name] = state[name][steps]
    made.load_state_dict(state)
    return made


def main() -> None:
    """Write the teacher with the longer lesson."""
    arguments = parser(__doc__)
    arguments.add_argument("short", type=Path)
    arguments.add_argument("--inner-steps", type=int, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    given = arguments.parse_args()
    teacher, header = load_teacher(given.short)
    made = longer(teacher, given.inner_steps)
    changed = {"inner_steps": given.inner_steps, "validation_accuracy": None, "ranking": None}
    save_teacher(made, header.model_copy(update=changed), given.out)
    print(f"{given.out}: the lesson of {given.short.name}, {given.inner_steps} steps long")


if __name__ == "__main__":
    main()
