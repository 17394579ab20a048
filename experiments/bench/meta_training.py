"""How much time and memory does an outer step take, in a plain unroll and in this package?

The plain unroll calls the generator at every inner step, computes its upsampled maps in full, and
keeps one second-order graph through all inner steps. Both arms have the same learner (two
convolutions of stride 2 with 32 and 64 channels, batch normalisation, a fully connected layer), the
same start (a generator that has learned to draw real images), the same outer optimiser and as many
outer steps. Arms run one after the other, each in its own process, so that their peak memory can be
told apart.

Run with ``python -m experiments.bench.meta_training --data-dir DIR [--budget small|full]``.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median
from typing import Any, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim.swa_utils import update_bn

from experiments.shared.arguments import Budget, with_data_dir
from experiments.shared.machine import machine
from experiments.shared.tables import Table, markdown
from gtn_nas.data import load_dataset
from gtn_nas.data.base import ImageDataset
from gtn_nas.pretraining.memory import keep_freed_memory
from gtn_nas.teacher.curriculum import Teacher, TeacherConfig
from gtn_nas.teacher.generator import LEAK, RANGE, Generator
from gtn_nas.teacher.inner_loop import score, teach
from gtn_nas.teacher.meta_config import MetaConfig
from gtn_nas.teacher.meta_training import MetaTrainer
from gtn_nas.teacher.warm_start import choose_targets, fit_to_images
from gtn_nas.trial import derived_seed

ARMS = ("plain", "plain, freed memory kept", "ours")
BATCH, REAL_BATCH, LEARNING_RATE = 128, 512, 0.001
TIMED = {"small": 3, "full": 5}
ITERATIONS = {"small": 20, "full": 150}
LEARNERS = 10

Step = Callable[[int], None]


def make_learner(seed: int, weights: int | None = None) -> nn.Module:
    """Return the learner with initial weights from ``weights``, or from ``seed`` if not given."""
    torch.manual_seed(seed if weights is None else weights)
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, stride=2, padding=1),
        nn.BatchNorm2d(32),
        nn.LeakyReLU(LEAK),
        nn.Conv2d(32, 64, 3, stride=2, padding=1),
        nn.BatchNorm2d(64),
        nn.LeakyReLU(LEAK),
        nn.Flatten(),
        nn.Linear(64 * 7 * 7, 10),
    )


def make_teacher(steps: int, dataset: ImageDataset, warm_start_steps: int) -> Teacher:
    """Return a teacher whose generator has learned to draw real images.

    Args:
        steps: inner steps of its lesson.
        dataset: the data set of the real images.
        warm_start_steps: how long the generator learns; 0 leaves it untrained.
    """
    torch.manual_seed(0)
    teacher = Teacher(TeacherConfig(dataset.image_shape, 10, steps, BATCH))
    teacher.step_sizes.start_at(0.1)
    rng = torch.Generator().manual_seed(0)
    chosen = choose_targets(dataset.train.labels, teacher.labels.flatten(), rng)
    targets = dataset.normalise(dataset.train.images[chosen])
    for _ in fit_to_images(teacher, targets, warm_start_steps, rng):
        pass
    return teacher


def draw_plainly(generator: Generator, noise: Tensor, labels: Tensor) -> Tensor:
    """Return the generator's images, computed layer by layer with upsampled maps in full."""
    x = torch.cat([noise, F.one_hot(labels, 10).float()], 1)
    x = F.leaky_relu(generator.norms[0](generator.fc1(x)), LEAK)
    x = generator.fc2(x).view(-1, generator.channels, *generator.sizes[0])
    x = F.leaky_relu(generator.norms[1](x), LEAK)
    x = F.pad(F.interpolate(x, scale_factor=2, mode="nearest"), (1, 1, 1, 1), mode="reflect")
    x = F.leaky_relu(generator.norms[2](generator.conv1(x)), LEAK)
    x = F.pad(F.interpolate(x, scale_factor=2, mode="nearest"), (1, 1, 1, 1), mode="reflect")
    return RANGE * torch.tanh(generator.conv2(x))


def plain_step(teacher: Teacher, images: Tensor, labels: Tensor) -> Step:
    """Return an outer step with one graph through generator and learner over all inner steps."""
    learned = [p for p in teacher.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(learned, lr=LEARNING_RATE)
    generator, noise, logits = teacher.generator, teacher.noise, teacher.label_logits
    # A full curriculum with soft labels has all three; this tells the type checker.
    assert generator is not None and noise is not None and logits is not None  # noqa: S101, PT018

    def step(iteration: int) -> None:
        learner = make_learner(derived_seed(0, iteration)).train()
        parameters: dict[str, Tensor] = dict(learner.named_parameters())
        velocity = {n: torch.zeros_like(p) for n, p in parameters.items()}
        rates, momenta = teacher.step_sizes()
        for t in range(len(rates)):
            drawn = draw_plainly(generator, noise[t], teacher.labels[t])
            loss = F.cross_entropy(
                functional_call(learner, parameters, (drawn,)), logits[t].softmax(-1)
            )
            found = torch.autograd.grad(loss, list(parameters.values()), create_graph=True)
            velocity = {
                n: momenta[t] * v + g for (n, v), g in zip(velocity.items(), found, strict=True)
            }
            parameters = {n: p - rates[t] * velocity[n] for n, p in parameters.items()}
        rng = torch.Generator().manual_seed(iteration)
        batch = torch.randperm(len(labels), generator=rng)[:REAL_BATCH]
        result = functional_call(learner, parameters, (images[batch],))
        optimiser.zero_grad()
        torch.autograd.backward(F.cross_entropy(result, labels[batch]))
        optimiser.step()

    return step


def our_step(teacher: Teacher, images: Tensor, labels: Tensor, iterations: int) -> Step:
    """Return the outer step of this package."""
    config = MetaConfig(
        iterations, window=16, learning_rate=LEARNING_RATE, real_batch_size=REAL_BATCH
    )
    trainer = MetaTrainer(teacher, config, make_learner, images, labels)
    return lambda iteration: (trainer.step(), None)[1]


def peak_mb() -> float:
    """Return this process's peak resident set size in MB, with data and libraries."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def run_arm(arm: str, steps: int, iterations: int, data_dir: Path) -> dict[str, Any]:
    """Measure one arm in this process.

    Args:
        arm: one of ``ARMS``.
        steps: inner steps of a lesson.
        iterations: outer steps.
        data_dir: the folder of MNIST.

    Returns:
        The median seconds of an outer step, the peak memory in MB, and the accuracy after all outer
        steps.
    """
    dataset = load_dataset("mnist", data_dir=data_dir)
    images, labels = dataset.normalise(dataset.train.images[:20000]), dataset.train.labels[:20000]
    if arm != "plain":
        keep_freed_memory()
    teacher = make_teacher(steps, dataset, warm_start_steps=100 if iterations > 1 else 0)
    step = (
        our_step(teacher, images, labels, max(iterations, 10))
        if arm == "ours"
        else plain_step(teacher, images, labels)
    )
    times_s = []
    for iteration in range(iterations):
        begun = time.perf_counter()
        step(iteration)
        times_s.append(time.perf_counter() - begun)
    measured = {"step_s": median(times_s[1:] or times_s), "peak_mb": peak_mb()}
    return measured | {"accuracy": accuracy(teacher, dataset)}


def accuracy(teacher: Teacher, dataset: ImageDataset) -> float:
    """Return the mean validation accuracy (0-1) of newly initialised learners.

    A learner whose training is not finite counts as 0.
    """
    validation, found = dataset.validation, []
    with torch.no_grad():
        lesson = teacher.lesson()
    for seed in range(LEARNERS):
        learner = make_learner(derived_seed("measure", seed))
        try:
            teach(learner, lesson)
        except FloatingPointError:
            found.append(0.0)
            continue
        update_bn([dataset.calibration_images()], learner)
        images = dataset.normalise(validation.images[:2000])
        found.append(score(learner, images, validation.labels[:2000])[0])
    return mean(found)


def in_a_process(arm: str, steps: int, iterations: int, data_dir: Path) -> dict[str, Any]:
    """Measure one arm in a new process; see ``run_arm``."""
    asked = json.dumps([arm, steps, iterations, str(data_dir)])
    command = [sys.executable, "-m", __spec__.name, "--arm", asked]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure all arms and print the table, with the ratios to the plain unroll."""
    parser = with_data_dir(__doc__)
    parser.add_argument("--budget", choices=get_args(Budget), default="small")
    parser.add_argument("--arm", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.arm:
        arm, steps, iterations, data_dir = json.loads(options.arm)
        print(json.dumps(run_arm(arm, steps, iterations, Path(data_dir))))
        return
    table, rows = Table("bench_meta_training"), []
    for steps, iterations in ((32, ITERATIONS[options.budget]), (128, 1)):
        base: dict[str, Any] = {}
        for arm in ARMS:
            found = in_a_process(arm, steps, iterations, options.data_dir)
            base = base or found
            about = {"budget": options.budget, "arm": arm, "inner_steps": steps}
            table.replace([about | found], **about)
            rows.append(
                [
                    arm,
                    steps,
                    iterations,
                    f"{found['step_s']:.2f} s",
                    f"{found['step_s'] / base['step_s']:.2f}",
                    f"{found['peak_mb']:.0f} MB",
                    f"{found['peak_mb'] / base['peak_mb']:.2f}",
                    f"{found['accuracy']:.2%}" if iterations > 1 else "",
                ]
            )
            print(rows[-1], file=sys.stderr, flush=True)
    print(f"{machine()}, budget {options.budget}")
    columns = ["arm", "T", "iterations", "step", "ratio", "peak memory", "ratio", "accuracy after"]
    print(markdown(columns, rows))


if __name__ == "__main__":
    main()
