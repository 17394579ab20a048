"""One final: the full training of a ranked candidate, with saved states and failures as results."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from safetensors.torch import save

from gtn_nas.architecture import Architecture
from gtn_nas.data.base import ImageDataset
from gtn_nas.errors import EnvironmentFailure, one_line
from gtn_nas.spaces.base import SearchSpace
from gtn_nas.storage.files import Place, whole_file
from gtn_nas.training.train import (
    EpochReport,
    FinalConfig,
    OnEpoch,
    TrainedNetwork,
    TrainingState,
    train_network,
)
from gtn_nas.trial import Status, status_of

STATE_FILE = "state.pt"
SAVE_EVERY = 5
"""A state is saved after every so many epochs."""


@dataclass(frozen=True)
class FinalJob:
    """A candidate to train.

    Attributes:
        architecture: canonical architecture.
        rank: its place among the candidates; the best is 1.
        seed: seed of the initial weights and of the training.
    """

    architecture: Architecture
    rank: int
    seed: int


@dataclass(frozen=True)
class FinalTask:
    """Everything that all finals of a run share; it is sent to every worker.

    Attributes:
        space: builds the networks, at scale ``final``.
        dataset: training, validation and test images.
        config: settings of the training.
    """

    space: SearchSpace
    dataset: ImageDataset
    config: FinalConfig


@dataclass(frozen=True)
class FinalOutcome:
    """The outcome of a final.

    Attributes:
        status: ``ok``, ``stopped`` (ended early), or the kind of failure.
        error: why it failed or was stopped; ``None`` if it is ``ok``.
        trained: the accuracies, losses and times, with ``weights`` left empty, if it is ``ok``.
        weights: the best epoch's weights as the bytes of a safetensors file, if it is ``ok``.
        device: type of the device that trained it, e.g. ``cuda``.
    """

    status: Status
    error: str | None = None
    trained: TrainedNetwork | None = None
    weights: bytes | None = None
    device: str = ""


OnReport = Callable[[FinalJob, EpochReport], None]
"""Called after every epoch of every final."""

Ends = Callable[[str, EpochReport], bool]
"""Called with a candidate's key after every epoch; tells whether its training ends early there."""


def stopped(report: EpochReport) -> FinalOutcome:
    """Return the outcome of a training that was ended early."""
    reached = f"{report.validation_accuracy:.1%} on validation images"
    return FinalOutcome(Status.STOPPED, f"ended after epoch {report.epoch} at {reached}")


OnFinal = Callable[[FinalJob, FinalOutcome], None]
"""Called when a final has ended."""


def train_final(
    task: FinalTask,
    job: FinalJob,
    *,
    resume_from: TrainingState | None = None,
    on_epoch: OnEpoch | None = None,
) -> FinalOutcome:
    """Build and train one network; an exception becomes the outcome's status and error.

    Args:
        task: search space, data and settings that all jobs share.
        job: the candidate to train.
        resume_from: saved state to continue from; by default, the training starts at epoch 1.
        on_epoch: called after every epoch.

    Raises:
        EnvironmentFailure: ``on_epoch`` could not save the state; this is no failure of the
            network.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dataset = task.dataset
    try:
        torch.manual_seed(job.seed)
        network = task.space.build(
            job.architecture, dataset.image_shape, dataset.num_classes, "final"
        ).to(device)
        trained = train_network(
            network,
            dataset,
            task.config,
            job.seed,
            resume_from=resume_from,
            on_epoch=on_epoch,
        )
    except EnvironmentFailure:
        raise
    except Exception as error:  # a candidate's own code may raise anything
        return FinalOutcome(status_of(error), one_line(error), device=device.type)
    weights = to_safetensors(job, task, trained)
    # The weights are sent to the driver only once, as the file.
    return FinalOutcome(
        Status.OK, trained=replace(trained, weights={}), weights=weights, device=device.type
    )


def train_from_state(
    task: FinalTask, job: FinalJob, folder: Place, on_epoch: Callable[[EpochReport], None]
) -> FinalOutcome:
    """Train one network from its last saved state, if any, and save its state every few epochs.

    Args:
        task: search space, data and settings that all jobs share.
        job: the candidate to train.
        folder: holds the saved states, in one folder for each candidate.
        on_epoch: called after every epoch; if its state is saved, after that.

    Raises:
        EnvironmentFailure: the state cannot be read or written.
    """
    place = folder / job.architecture.key

    def keep(report: EpochReport, state: TrainingState) -> None:
        if report.epoch % SAVE_EVERY == 0:
            save_state(state, place)
        on_epoch(report)

    return train_final(task, job, resume_from=load_state(place), on_epoch=keep)


def to_safetensors(job: FinalJob, task: FinalTask, trained: TrainedNetwork) -> bytes:
    """Return a safetensors file of the weights; its header has all that is needed to use them."""
    dataset = task.dataset
    header = {
        "space": job.architecture.space,
        "choices": job.architecture.to_json(),
        "scale": "final",
        "dataset": dataset.name,
        "classes": "\n".join(dataset.classes),
        "image_shape": " ".join(map(str, dataset.image_shape)),
        "mean": " ".join(map(str, dataset.mean)),
        "std": " ".join(map(str, dataset.std)),
    }
    return save({n: t.contiguous().cpu() for n, t in trained.weights.items()}, header)


def save_state(state: TrainingState, folder: Place) -> None:
    """Write the state of a training; the file appears whole or not at all.

    Raises:
        EnvironmentFailure: the file cannot be written.
    """
    with whole_file(folder / STATE_FILE) as file:
        torch.save(dict(state), file)


def load_state(folder: Place) -> TrainingState | None:
    """Return the state that ``save_state`` wrote, with tensors on the CPU, or ``None``."""
    try:
        packed = (folder / STATE_FILE).read_bytes()
    except FileNotFoundError:
        return None
    state: TrainingState = torch.load(io.BytesIO(packed), map_location="cpu", weights_only=True)
    return state
