"""Meta-training whose learners are shared by Ray workers."""

import os
import sys
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from gtn_nas.errors import TeacherError
from gtn_nas.pretraining.pretraining import Pretraining
from gtn_nas.spaces.conv_chain import ConvChain

from .tiny_pretraining import (
    BEFORE,
    abandon,
    content,
    finished,
    tiny_configs,
)


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Make the configuration of a meta-training of seconds, which saves every second step."""
    return tiny_configs(tmp_path, monkeypatch)


class Fragile(ConvChain):
    """Ends the first worker that builds a learner while there is a mark."""

    mark: ClassVar = Path("none")
    driver: ClassVar = os.getpid()

    def build(self, *args):
        if self.mark.exists() and os.getpid() != self.driver:
            with suppress(FileNotFoundError):
                self.mark.unlink()
                os._exit(1)
        return super().build(*args)


@pytest.fixture
def by_value(ray_local):
    """Let workers use this module, which they cannot import."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])


def weights_after(run, steps):
    """Teacher's weights after some outer steps."""
    taken = [p for p in islice(run.run(), BEFORE + steps) if p.stage == "meta-training"]
    assert len(taken) == steps
    return [weight.detach().clone() for weight in run.trainer.source.parameters()]


@pytest.fixture
def one_thread():
    """As many threads as a worker has."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_two_workers_are_one_process_with_two_learners(config, by_value, one_thread):
    alone = weights_after(Pretraining(config("alone", learners_per_step=2)), 2)
    together = weights_after(Pretraining(config("together", workers=2)), 2)
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-8)


def test_a_killed_worker_costs_its_learner_not_the_run(config, by_value, tmp_path, monkeypatch):
    monkeypatch.setattr(Fragile, "mark", tmp_path / "mark")
    Fragile.mark.touch()
    run = Pretraining(config(workers=2, space=f"{__name__}:Fragile"))
    learners = []
    apply = run.trainer.apply
    monkeypatch.setattr(run.trainer, "apply", lambda r: (learners.append(len(r)), apply(r)))
    assert [p.done for p in run.run()][BEFORE:] == [1, 2, 3, 4]
    assert not Fragile.mark.exists()
    assert learners == [1, 2, 2, 2]
    assert run.trainer.skipped == 0


@pytest.mark.slow
def test_workers_may_change_on_resume_and_their_number_may_not_change_the_mean(config, by_value):
    undisturbed = content(finished(config("undisturbed", workers=2)))
    abandon(config(workers=2), after=3)
    with pytest.raises(TeacherError, match=r"other code: its learners of a step changed"):
        Pretraining(config(workers=1), resume=True)
    assert content(finished(config(workers=2), resume=True)) == undisturbed
