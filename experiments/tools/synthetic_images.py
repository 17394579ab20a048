"""Draws a teacher's synthetic images along the curriculum as one picture.

Each row is a class, and each column a step of the lesson. Shown is the first image of the class in
the step's batch. Run with ``python -m experiments.tools.synthetic_images [TEACHER]``, where TEACHER
is the name of a shipped teacher, or a file.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from experiments.shared.arguments import parser
from gtn_nas.teacher.artifact import load_teacher, resolve_teacher
from gtn_nas.teacher.generator import RANGE

COLUMNS = 16
FIGURES = Path("docs/figures")


def main() -> None:
    """Draw the picture of one teacher."""
    arguments = parser(__doc__)
    arguments.add_argument("teacher", nargs="?", default="mnist-conv_chain")
    path = resolve_teacher(arguments.parse_args().teacher)
    teacher, header = load_teacher(path)
    with torch.no_grad():
        lesson = teacher.lesson()
    steps = np.linspace(0, lesson.steps - 1, min(COLUMNS, lesson.steps)).round().astype(int)
    classes = len(header.classes)
    figure, axes = plt.subplots(
        classes, len(steps), figsize=(0.6 * len(steps), 0.6 * classes), squeeze=False
    )
    for column, step in enumerate(steps):
        for row in range(classes):
            first = int((teacher.labels[step] == row).nonzero()[0])
            image = (lesson.images[step, first] / RANGE + 1) / 2
            axes[row, column].imshow(image.clamp(0, 1).permute(1, 2, 0).squeeze(), cmap="gray")
            axes[row, column].set(xticks=[], yticks=[])
        axes[0, column].set_title(f"{step + 1}", fontsize=8)
    for row, label in enumerate(header.classes):
        axes[row, 0].set_ylabel(label.split(" ")[0], rotation=0, labelpad=10, fontsize=8)
    FIGURES.mkdir(parents=True, exist_ok=True)
    out = FIGURES / f"synthetic-{path.stem}.png"
    figure.savefig(out, dpi=100, bbox_inches="tight", metadata={"Software": None})
    print(out)


if __name__ == "__main__":
    main()
