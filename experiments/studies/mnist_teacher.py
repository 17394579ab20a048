"""How good is the shipped MNIST teacher for held-out architectures?

Thirty ``conv_chain`` learners, held out from meta-training, with all kinds of heads and
normalisations, take 32 steps on the teacher's batches and are scored on the test split. For
comparison, the same learners take 32 steps on real batches, or one epoch of real batches. The
learning rate and momentum of real batches are tuned on other learners; for the epoch, only the rate
is tuned, and the momentum is 0.5.

Run with ``python -m experiments.studies.mnist_teacher --data-dir DIR [--teacher FILE]``; it can be
interrupted and started again.
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
"""Up to so many steps, the momentum is tuned too, and more learners are used for tuning."""


def main() -> None:
    """Measure the arms that are not in the table yet, learner by learner, and print the table."""
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
    """Return lessons of real batches with a tuned rate and momentum."""
    few = steps <= FEW
    choice = real.tuned(steps, learner, TUNING if few else 2, MOMENTA if few else (0.5,))
    print(f"{steps} real steps: rate {choice[0]}, momentum {choice[1]}")
    return real.lessons(steps, *choice)


if __name__ == "__main__":
    main()
