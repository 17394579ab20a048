"""How much do the meta-gradients of different learners agree?

Several learners of ``CheapChains`` are taught by one teacher, each with its own initial weights and
real images, and their meta-gradients are compared. The shared part is the squared norm of the mean
gradient divided by the mean of the squared norms, without the bias of a finite number of learners.
Its inverse is the number of learners that an outer step should average over. It is measured for the
learned noise and for the generator's second layer, at several multiples of the inner learning
rates, for whole lessons and for their second halves.

Run with ``python -m experiments.studies.gradient_agreement --data-dir DIR [--teacher NAME]``.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from experiments.shared.arguments import with_data_dir
from experiments.shared.learner_families import CheapChains
from experiments.shared.machine import machine
from experiments.shared.tables import Table, markdown
from gtn_nas.data import load_dataset
from gtn_nas.pretraining.learners import LearnerSampler
from gtn_nas.pretraining.memory import keep_freed_memory
from gtn_nas.teacher.artifact import load_teacher, resolve_teacher
from gtn_nas.teacher.hypergradient import RealBatch, lesson_gradient

LEARNERS, REAL_BATCH, LOSS_EVERY = 16, 2048, 16
MULTIPLES = (1.0, 0.5, 0.25)


def shared_part(gradients: list[Tensor]) -> float:
    """Return the mean cosine of all pairs of different gradients, which may be negative."""
    unit = torch.stack([g.flatten() / g.norm() for g in gradients])
    cosines, count = unit @ unit.T, len(gradients)
    return float((cosines.sum() - cosines.diag().sum()) / (count * (count - 1)))


def main() -> None:
    """Compare meta-gradients and print the table."""
    parser = with_data_dir(__doc__)
    parser.add_argument("--teacher", default="mnist-conv_chain")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    teacher, _ = load_teacher(resolve_teacher(asked.teacher))
    dataset = load_dataset("mnist", data_dir=asked.data_dir)
    images, labels = dataset.train.images, dataset.train.labels
    sampler = LearnerSampler(CheapChains(), dataset.image_shape, 10, torch.device("cpu"))
    generator, noise = teacher.generator, teacher.noise
    # A teacher with a full curriculum has both; this tells the type checker.
    assert generator is not None and noise is not None  # noqa: S101, PT018
    learned = [noise, generator.fc2.parametrizations.weight.original1]
    drawn, table, rows = teacher.lesson(), Table("gradient_agreement"), []
    for multiple in MULTIPLES:
        lesson = replace(drawn, learning_rates=drawn.learning_rates * multiple)
        for window in (range(lesson.steps), range(lesson.steps // 2, lesson.steps)):
            found: list[list[Tensor]] = [[] for _ in learned]
            for seed in range(LEARNERS):
                rng = torch.Generator().manual_seed(seed)
                chosen = torch.randperm(len(labels), generator=rng)[:REAL_BATCH]
                real = RealBatch(dataset.normalise(images[chosen]), labels[chosen])
                learner = sampler(seed).train()
                result = lesson_gradient(
                    learner, lesson, window, real, loss_every=LOSS_EVERY, seed=seed
                )
                given = result.gradient.images
                gradients = torch.autograd.grad(lesson.images, learned, given, retain_graph=True)
                for list_, gradient in zip(found, gradients, strict=True):
                    list_.append(gradient)
            parts = [shared_part(gradients) for gradients in found]
            about = {"teacher": asked.teacher, "rates_times": multiple}
            about |= {"first_step": window.start + 1, "last_step": window.stop}
            measured = dict(zip(("noise", "second_layer"), parts, strict=True))
            table.replace([about | measured], **about)
            steps = f"{window.start + 1} to {window.stop}"
            rows.append([multiple, steps, *(f"{part:.2%}" for part in parts)])
    print(f"{machine()}, {LEARNERS} learners")
    print(markdown(["rates times", "steps differentiated", "noise", "second layer"], rows))


if __name__ == "__main__":
    main()
