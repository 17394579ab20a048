"""Makes a teacher with learned pixels that starts with the lesson of a teacher with a generator.

Run ``python -m experiments.tools.pixel_lesson DRAWN.safetensors --out PIXELS.safetensors``, then
continue meta-training with ``gtn-nas pretrain --curriculum pixels --start PIXELS.safetensors``.
Comparing both teachers after equal meta-training shows whether the generator helps.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from experiments.shared.arguments import parser
from gtn_nas.teacher.artifact import load_teacher, save_teacher
from gtn_nas.teacher.curriculum import Teacher


def with_pixels(teacher: Teacher) -> Teacher:
    """Return a teacher with learned pixels that gives the same lesson as another teacher.

    Args:
        teacher: the other teacher, which has a generator and learned labels.
    """
    made = Teacher(replace(teacher.config, curriculum="pixels"))
    state = {
        name: tensor for name, tensor in teacher.state_dict().items() if name in made.state_dict()
    }
    with torch.no_grad():
        made.load_state_dict(state | {"pixels": teacher.lesson().images})
    return made


def main() -> None:
    """Write the teacher with learned pixels."""
    arguments = parser(__doc__)
    arguments.add_argument("drawn", type=Path)
    arguments.add_argument("--out", type=Path, required=True)
    given = arguments.parse_args()
    teacher, header = load_teacher(given.drawn)
    changed = {"curriculum": "pixels", "validation_accuracy": None, "ranking": None}
    save_teacher(with_pixels(teacher), header.model_copy(update=changed), given.out)
    print(f"{given.out}: the lesson of {given.drawn.name}, its pixels to be learned")


if __name__ == "__main__":
    main()
