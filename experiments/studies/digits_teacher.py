"""How good is the shipped digits teacher, compared with two controls that use real images?

Twenty ``conv_chain`` learners, held out from meta-training, take 32 steps on the teacher's batches
and are scored on the test split. The controls take 32 steps on as many real images. One has a
learning rate, schedule and momentum chosen on 20 other learners by validation accuracy; the other
has a per-step learning rate and momentum that were meta-learned like the teacher's.

Run with ``python -m experiments.studies.digits_teacher``. Meta-learning the second control takes
about 8 minutes on one core. It writes a checkpoint under ``checkpoints/``, and continues from it
when it was interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from experiments.shared.arguments import parser
from experiments.shared.digits import Digits, LessonFor
from experiments.shared.intervals import mean_with_interval
from experiments.shared.machine import machine
from experiments.shared.tables import Table, markdown
from gtn_nas.config.pretrain import PretrainConfig
from gtn_nas.pretraining.pretraining import Pretraining

CONTROL_ITERATIONS = 500
"""Fewer outer steps than the teacher's: only 64 numbers are learned, and the accuracy does not
improve after 100."""
CONTROL = Path("checkpoints/digits-real_data.safetensors")


def meta_learned(digits: Digits) -> LessonFor:
    """Meta-learn step sizes for real batches; return the lessons of real batches with them."""
    config = PretrainConfig(
        dataset="digits",
        space="conv_chain",
        inner_steps=digits.header.inner_steps,
        batch_size=digits.header.batch_size,
        meta_iterations=CONTROL_ITERATIONS,
        curriculum="real_data",
        out=CONTROL,
    )
    pretraining = Pretraining(config, resume=CONTROL.with_suffix(".checkpoint").exists())
    for progress in pretraining.run():
        if progress.done % 100 == 0:
            print(progress, flush=True)
    pretraining.finish()
    return pretraining.lesson


def row(name: str, accuracies: Sequence[float]) -> list[object]:
    """Return an arm's line of the printed table."""
    found = mean_with_interval(accuracies)
    interval = f"{found.low:.2%} to {found.high:.2%}"
    return [
        name,
        f"{found.value:.2%}",
        interval,
        f"{min(accuracies):.2%}",
        f"{max(accuracies):.2%}",
    ]


def main() -> None:
    """Measure all arms, save every learner's accuracy, and print the table."""
    parser(__doc__).parse_args()
    torch.set_num_threads(1)
    digits = Digits()
    choice = digits.tuned()
    tuned_name = f"32 real batches, tuned (rate {choice[0]}, momentum {choice[1]}, {choice[2]})"
    arms: dict[str, LessonFor] = {}
    with torch.no_grad():
        lesson = digits.teacher.lesson()
    arms["teacher, 32 synthetic batches"] = lambda seed: lesson
    arms[tuned_name] = digits.real_batches(*choice)
    arms["32 real batches, meta-learned step sizes"] = meta_learned(digits)
    table, rows = Table("digits_teacher"), []
    for name, lesson_for in arms.items():
        found = digits.accuracies(lesson_for, "measure", "test")
        rows.append(row(name, found))
        measured = [{"arm": name, "learner": i, "test_accuracy": a} for i, a in enumerate(found)]
        table.replace(measured, arm=name)
    print(machine())
    print(markdown(["arm", "mean test accuracy", "95 % interval", "worst", "best"], rows))


if __name__ == "__main__":
    main()
