"""How good is the MNIST teacher that ships, for architectures it never saw?

Thirty ``conv_chain`` learners that no meta-training has seen, of all heads and normalisations, take
32 steps on the teacher's batches and are scored on the test split. Beside them the same networks
after 32 steps on real batches and after one real epoch, each with a learning rate and momentum
tuned on other learners (the epoch's rate alone, with momentum 0.5).

Run with ``python -m experiments.studies.mnist_teacher --data-dir DIR [--teacher FILE]``; it goes on
after a kill.
"""

from __future__ import annotations

import hashlib

import torch

from experiments.shared.arguments import with_data_dir
from experiments.shared.intervals import mean_with_interval
from experiments.shared.machine import machine
from experiments.shared.mnist import MOMENTA, LessonFor, RealSteps, SampleLearner, accuracies, fixed
from experiments.shared.tables import Table, markdown
from gtn_nas.data import load_dataset
from gtn_nas.pretraining.learners import LearnerSampler
from gtn_nas.spaces import get_space
from gtn_nas.teacher.artifact import load_teacher, resolve_teacher

LEARNERS, TUNING = 30, 6
FEW = 32
"""Steps that are cheap enough to tune the momentum for, and on more learners."""


def main() -> None:
    """Measure what is missing, print the table and keep every learner's accuracy."""
    parser = with_data_dir(__doc__)
    parser.add_argument("--teacher", default="mnist-conv_chain")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    path = resolve_teacher(asked.teacher)
    teacher, header = load_teacher(path)
    with torch.no_grad():
        lesson = teacher.lesson()
    dataset = load_dataset("mnist", data_dir=asked.data_dir)
    space, device = get_space("conv_chain"), torch.device("cpu")
    learner = LearnerSampler(space, dataset.image_shape, 10, device, held_out=True)
    real = RealSteps(dataset, header.batch_size)
    epoch = len(dataset.train) // header.batch_size
    table, rows = Table("mnist_teacher"), []
    teacher_arm = f"teacher {hashlib.sha256(path.read_bytes()).hexdigest()[:8]}"
    arms = {teacher_arm: 0, "32 real steps, tuned": lesson.steps, "one real epoch, tuned": epoch}
    for arm, steps in arms.items():
        if not table.has(arm=arm, learner=LEARNERS - 1):
            lessons = real_lessons(real, steps, learner) if steps else fixed(lesson)
            for i, accuracy in enumerate(accuracies(lessons, learner, dataset, "test", LEARNERS)):
                if not table.has(arm=arm, learner=i):
                    table.add({"arm": arm, "learner": i, "test_accuracy": accuracy})
        values = [float(row["test_accuracy"]) for row in table.where(arm=arm)]
        mean, ends = mean_with_interval(values), (f"{min(values):.2%}", f"{max(values):.2%}")
        rows.append([arm, f"{mean.value:.2%}", f"{mean.low:.2%} to {mean.high:.2%}", *ends])
    print(machine())
    print(markdown(["arm", "mean test accuracy", "95 % interval", "worst", "best"], rows))


def real_lessons(real: RealSteps, steps: int, learner: SampleLearner) -> LessonFor:
    """Return tuned lessons of real batches."""
    few = steps <= FEW
    choice = real.tuned(steps, learner, TUNING if few else 2, MOMENTA if few else (0.5,))
    print(f"{steps} real steps: rate {choice[0]}, momentum {choice[1]}")
    return real.lessons(steps, *choice)


if __name__ == "__main__":
    main()
