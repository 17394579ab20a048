"""What every way to train finals must do: inline, and as trials of Tune."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load

from gtn_nas.data import load_dataset
from gtn_nas.errors import ResourceError
from gtn_nas.storage.files import Place, place_of
from gtn_nas.training.final import FinalJob, FinalOutcome, FinalTask, train_final
from gtn_nas.training.inline import train_inline
from gtn_nas.training.train import FinalConfig
from gtn_nas.trial import Status

from . import fragile

EPOCHS, BATCHES = 8, 16  # an epoch of digits is 16 batches of 64
AFTER_A_CHECKPOINT = 6 * BATCHES + 3

Train = Callable[..., dict[str, FinalOutcome]]


class Epochs:
    """Collects the epochs of a job; after so many of them the person presses Ctrl-C."""

    def __init__(self, stop_at: int) -> None:
        self.seen: list[int] = []
        self.stop_at = stop_at

    def __getitem__(self, key: str) -> "Epochs":
        return self

    def append(self, epoch: int) -> None:
        self.seen.append(epoch)
        if len(self.seen) == self.stop_at:
            raise KeyboardInterrupt


@pytest.fixture
def task(tmp_path: Path) -> FinalTask:
    space = fragile.Fragile(AFTER_A_CHECKPOINT, tmp_path / "marker")
    return FinalTask(space, load_dataset("digits"), FinalConfig(epochs=EPOCHS, augment=False))


def job(task: FinalTask, act: str, twin: int = 0) -> FinalJob:
    architecture = task.space.architecture({"act": act, "twin": twin})
    return FinalJob(architecture, rank=1, seed=5)


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where states are kept: on a disk, or where a test asks for it in a bucket."""
    if getattr(request, "param", "disk") == "disk":
        return tmp_path / "finals"
    return place_of(f"{request.getfixturevalue('bucket')}/runs/a/.finals")


PLACES = pytest.mark.parametrize(
    "folder", ["disk", pytest.param("bucket", marks=pytest.mark.slow)], indirect=True
)


@pytest.fixture(params=["inline", "tune"])
def train(request: pytest.FixtureRequest, folder: Place) -> Train:
    """Train jobs in one of the ways; return outcomes by key, and count epochs."""
    torch.set_num_threads(1)
    how = train_inline
    if request.param == "tune":
        request.getfixturevalue("ray_local")
        from ray import cloudpickle

        from gtn_nas.training.tune_trials import train_with_tune

        cloudpickle.register_pickle_by_value(fragile)
        how = train_with_tune

    def run(task: FinalTask, jobs: list[FinalJob], epochs: dict[str, list[int]], ends=None):
        outcomes: dict[str, FinalOutcome] = {}
        how(
            task,
            jobs,
            folder,
            lambda job, report: epochs[job.architecture.key].append(report.epoch),
            lambda job, outcome: outcomes.update({job.architecture.key: outcome}),
            ends=ends,
        )
        return outcomes

    return run


def test_every_job_gets_one_outcome_and_one_that_raises_hinders_no_other(task, train):
    jobs = [job(task, "well"), job(task, "raise"), job(task, "well", 1)]
    epochs: dict[str, list[int]] = defaultdict(list)
    outcomes = train(task, jobs, epochs)
    well, raised, twin = (outcomes[j.architecture.key] for j in jobs)
    assert (well.status, twin.status, raised.status) == (Status.OK, Status.OK, Status.FAILED)
    assert "no further" in (raised.error or "")
    assert raised.weights is None
    assert epochs[jobs[0].architecture.key] == list(range(1, EPOCHS + 1))
    direct = train_final(task, jobs[0])
    assert well.trained.test_accuracy == direct.trained.test_accuracy > 0.8
    weights, expected = load(well.weights), load(direct.weights)
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_a_training_that_is_to_end_ends_and_the_others_go_on(task, train):
    first, second = job(task, "well"), job(task, "well", 1)
    key, epochs = first.architecture.key, defaultdict(list)
    outcomes = train(
        task, [first, second], epochs, ends=lambda k, report: k == key and report.epoch == 3
    )
    assert epochs[key] == [1, 2, 3]
    assert outcomes[key].status is Status.STOPPED
    assert "ended after epoch 3 at" in (outcomes[key].error or "")
    assert outcomes[key].weights is None
    assert outcomes[second.architecture.key].status is Status.OK


def test_no_jobs_are_no_work(task, train):
    assert train(task, [], defaultdict(list)) == {}


@PLACES
def test_a_trial_whose_worker_dies_goes_on_from_its_state(task, folder, tmp_path, ray_local):
    from ray import cloudpickle

    from gtn_nas.training.tune_trials import train_with_tune

    torch.set_num_threads(1)
    cloudpickle.register_pickle_by_value(fragile)
    killed, epochs, outcomes = job(task, "kill"), [], []
    train_with_tune(
        task,
        [killed],
        folder,
        lambda job, report: epochs.append(report.epoch),
        lambda job, outcome: outcomes.append(outcome),
    )
    assert (tmp_path / "marker").exists()
    assert epochs == [1, 2, 3, 4, 5, 6, 6, 7, 8]  # the state is that of epoch 5
    undisturbed = train_final(task, job(task, "well"))
    (outcome,) = outcomes
    assert outcome.status is Status.OK
    assert outcome.trained.validation_loss == undisturbed.trained.validation_loss


@PLACES
def test_an_interrupted_training_goes_on_from_its_saved_state(task, train):
    interrupted, epochs = job(task, "well"), Epochs(stop_at=7)
    with pytest.raises(KeyboardInterrupt):
        train(task, [interrupted], epochs)
    outcome = train(task, [interrupted], epochs)[interrupted.architecture.key]
    assert epochs.seen == [1, 2, 3, 4, 5, 6, 7, 6, 7, 8]
    undisturbed = train_final(task, interrupted)
    assert outcome.trained.validation_loss == undisturbed.trained.validation_loss


def test_trials_that_fit_nowhere_are_refused_at_once(task, tmp_path, ray_local):
    from gtn_nas.training.tune_trials import train_with_tune

    with pytest.raises(ResourceError, match="3 CPUs"):
        train_with_tune(task, [job(task, "well")], tmp_path, print, print, cpus=3)
