"""A meta-training of seconds, run, abandoned and compared."""

from itertools import islice

import pytest

from gtn_nas.config.pretrain import PretrainConfig
from gtn_nas.pretraining import pretraining, start
from gtn_nas.pretraining.pretraining import Pretraining
from gtn_nas.teacher.artifact import load_teacher

RATES, WARM_START, ITERATIONS = 2, 5, 4
BEFORE = RATES + WARM_START
"""What is reported before the first outer step."""


def tiny_configs(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """Return what makes configurations; a checkpoint is saved every second step."""
    monkeypatch.setattr(pretraining, "CHECKPOINT_EVERY", 2)
    monkeypatch.setattr(start, "START_RATES", (1.6, 0.4))

    def make(name="teacher", **values):
        tiny = {
            "batch_size": 10,
            "inner_steps": 3,
            "meta_iterations": ITERATIONS,
            "warm_start_steps": WARM_START,
            "hidden": 16,
            "channels": 8,
            "noise_dim": 4,
            "window": 2,
        }
        return PretrainConfig(**tiny | {"out": tmp_path / f"{name}.safetensors"} | values)

    return make


def finished(config, **options):
    """Run a meta-training to its end; return its artefact's path."""
    run = Pretraining(config, **options)
    for _ in run.run():
        pass
    return run.finish(learners=1)[0]


def content(path):
    """All that an artefact says; its bytes may differ by the order of safetensors' metadata."""
    teacher, header = load_teacher(path)
    return header, {name: weight.tolist() for name, weight in teacher.named_parameters()}


def abandon(config, after):
    """Stop after so many steps of meta-training, as a crash would."""
    for _ in islice(Pretraining(config).run(), BEFORE + after):
        pass
