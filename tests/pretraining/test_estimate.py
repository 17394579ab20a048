import time
from itertools import count
from typing import get_args

import pytest
import torch

from gtn_nas.config.pretrain import Curriculum, PretrainConfig
from gtn_nas.errors import ResourceError
from gtn_nas.pretraining import estimate as estimates
from gtn_nas.pretraining import start
from gtn_nas.pretraining.estimate import Estimate, check_memory, estimate
from gtn_nas.pretraining.pretraining import Pretraining

CURRICULA = [*get_args(Curriculum), "real_data"]


@pytest.fixture
def pretraining_of(tmp_path, monkeypatch):
    """Make a meta-training of seconds."""
    monkeypatch.setattr(start, "START_RATES", (0.8,))

    def make(name="teacher", **values):
        tiny = {
            "batch_size": 10,
            "inner_steps": 3,
            "meta_iterations": 2,
            "warm_start_steps": 2,
            "hidden": 16,
            "channels": 8,
            "noise_dim": 4,
        }
        out = tmp_path / f"{name}.safetensors"
        return Pretraining(PretrainConfig(**tiny | {"out": out} | values))

    return make


def flat(state):
    """Everything in a state as one list of names and plain values."""
    if isinstance(state, torch.Tensor):
        return state.tolist()
    if isinstance(state, dict):
        return [(name, flat(value)) for name, value in state.items()]
    if isinstance(state, list | tuple):
        return [flat(value) for value in state]
    return state


# what it says


@pytest.mark.parametrize(
    ("seconds", "duration"),
    [
        (0.1, "1 min"),
        (80, "1 min"),
        (3569, "59 min"),
        (3599, "1 h 0 min"),
        (3 * 3600 + 300, "3 h 5 min"),
        (100 * 3600, "100 h 0 min"),
    ],
)
def test_an_estimate_reads_as_hours_minutes_and_gigabytes(seconds, duration):
    text = str(Estimate(train_s=seconds, memory_bytes=1.24e9, free_bytes=16e9))
    assert text == f"about {duration} and 1.2 GB (16.0 GB are free)"


@pytest.mark.parametrize(
    ("learners", "processes", "rounds"), [(1, 1, 1), (4, 1, 4), (4, 2, 2), (5, 2, 3), (1, 4, 1)]
)
def test_the_time_is_that_of_every_round_of_every_step(
    pretraining_of, monkeypatch, learners, processes, rounds
):
    run = pretraining_of(learners_per_step=learners, meta_iterations=50)
    each_s = 2.0
    ticks = count(0, each_s * estimates.LEARNERS)
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks))
    found = estimate(run.trainer, processes)
    assert found.train_s == pytest.approx(50 * rounds * each_s)


@pytest.mark.parametrize("curriculum", CURRICULA)
def test_every_curriculum_is_estimated(pretraining_of, curriculum):
    found = pretraining_of(curriculum=curriculum).estimate()
    assert found.train_s > 0
    assert 1e5 < found.memory_bytes < 1e9
    assert found.free_bytes > 0


@pytest.mark.parametrize("change", [{"inner_steps": 1000}, {"batch_size": 400}, {"image_size": 16}])
@pytest.mark.parametrize("curriculum", ["full", "pixels"])
def test_larger_lessons_need_more_memory(pretraining_of, curriculum, change):
    small = check_memory(pretraining_of(curriculum=curriculum).trainer, 1)
    assert check_memory(pretraining_of(curriculum=curriculum, **change).trainer, 1) > 1.1 * small


# what it refuses


def test_what_does_not_fit_the_memory_is_refused(pretraining_of, monkeypatch):
    run = pretraining_of()
    needed = check_memory(run.trainer, 1)
    monkeypatch.setattr(estimates, "free_bytes", lambda device: needed)
    assert run.estimate().memory_bytes == needed
    monkeypatch.setattr(estimates, "free_bytes", lambda device: needed - 1)
    with pytest.raises(
        ResourceError, match=r"needs about 0\.1 GB and 0\.1 GB are free; lower --in"
    ):
        run.estimate()


def test_workers_need_their_memory_each(pretraining_of, monkeypatch):
    trainer = pretraining_of().trainer
    free = 2.5 * check_memory(trainer, 1)
    monkeypatch.setattr(estimates, "free_bytes", lambda device: free)
    assert check_memory(trainer, 2) < free
    with pytest.raises(ResourceError, match=r"needs about 3 x 0\.1 GB"):
        check_memory(trainer, 3)


def test_what_would_take_too_long_is_refused(pretraining_of):
    assert pretraining_of(max_hours=1000).estimate().train_s < 1000 * 3600
    run = pretraining_of(max_hours=1e-9)
    with pytest.raises(ResourceError, match=r"needs about 1 min .* more than --max-hours 1e-09"):
        run.estimate()


# what it leaves


@pytest.mark.parametrize("curriculum", CURRICULA)
def test_trying_learners_leaves_the_trainer_as_it_was(pretraining_of, curriculum):
    trainer = pretraining_of(curriculum=curriculum).trainer
    before = flat(trainer.state_dict())
    estimate(trainer, 1)
    assert flat(trainer.state_dict()) == before
    assert (trainer.iteration, trainer.log_norm) == (0, None)
    assert all(parameter.grad is None for parameter in trainer.parameters)


@pytest.mark.parametrize("curriculum", ["full", "none"])
def test_a_run_after_an_estimate_is_one_without(pretraining_of, curriculum):
    def steps(name, estimated):
        run = pretraining_of(name, curriculum=curriculum)
        if estimated:
            run.estimate()
        return list(run.run()), flat(run.trainer.state_dict())

    assert steps("estimated", True) == steps("plain", False)
