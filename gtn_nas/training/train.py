"""Train one network fully on real images."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gtn_nas.data.augmentation import augmentation_for
from gtn_nas.data.base import ImageDataset, Split
from gtn_nas.trial import derived_seed

EVALUATION_BATCH = 2048

Confusion = tuple[tuple[int, int, int], ...]
"""Tuples of class, predicted class and number of images, for all pairs that occur in a split."""


@dataclass(frozen=True)
class FinalConfig:
    """Settings of a full training: SGD with Nesterov momentum and a cosine schedule.

    Attributes:
        epochs: passes over the training images.
        batch_size: images in a batch; images that are left over at the end of an epoch are not
            used in it.
        learning_rate: peak of the learning rate.
        warmup: fraction of all steps in which the learning rate rises to its peak.
        momentum: Nesterov momentum.
        weight_decay: decay of parameters of two or more dimensions; gains and shifts do not decay.
        label_smoothing: probability spread evenly over all classes.
        augment: distort training images, as ``data.augmentation`` describes.
    """

    epochs: int = 60
    batch_size: int = 64
    learning_rate: float = 0.1
    warmup: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    augment: bool = True


@dataclass(frozen=True)
class EpochReport:
    """Measurements of one epoch; losses in nats, accuracies 0-1.

    Attributes:
        epoch: number of the epoch, from 1.
        train_loss: mean loss of the epoch's steps, with smoothed labels and distorted images.
        validation_accuracy: accuracy on validation images after the epoch.
        validation_loss: loss on validation images after the epoch, without label smoothing.
        train_s: seconds of training and validation since the start of the first epoch.
    """

    epoch: int
    train_loss: float
    validation_accuracy: float
    validation_loss: float
    train_s: float


@dataclass(frozen=True)
class TrainedNetwork:
    """The result of a training: the weights of the best epoch and their accuracies and losses.

    Attributes:
        weights: state dictionary of the best epoch.
        best_epoch: number of the best epoch, from 1.
        epochs: epochs trained.
        validation_accuracy: accuracy (0-1) of the best epoch's weights on validation images.
        validation_loss: their loss (nats) on validation images.
        test_accuracy: their accuracy (0-1) on test images.
        test_loss: their loss (nats) on test images.
        train_s: seconds of training and validation.
        test_confusion: number of test images for each pair of class and predicted class.
    """

    weights: dict[str, Tensor]
    best_epoch: int
    epochs: int
    validation_accuracy: float
    validation_loss: float
    test_accuracy: float
    test_loss: float
    train_s: float
    test_confusion: Confusion = ()


class BestEpoch(TypedDict):
    """The best epoch so far: its number, and its weights with their validation results."""

    epoch: int
    accuracy: float
    loss: float
    weights: dict[str, Tensor]


class TrainingState(TypedDict):
    """Everything that is needed to continue a training; plain data and tensors."""

    epoch: int
    train_s: float
    network: dict[str, Tensor]
    optimizer: dict[str, Any]
    best: BestEpoch


OnEpoch = Callable[[EpochReport, TrainingState], None]
"""Called after every epoch; training changes the state's tensors later, so save them at once."""


def train_network(
    network: nn.Module,
    dataset: ImageDataset,
    config: FinalConfig,
    seed: int,
    *,
    resume_from: TrainingState | None = None,
    on_epoch: OnEpoch | None = None,
) -> TrainedNetwork:
    """Train ``network`` in place and read its test accuracy once, at the end.

    The best epoch has the highest validation accuracy; if several have it, the best of them has the
    lowest validation loss. Torch's generators are seeded at every epoch with ``seed`` and the
    epoch's number. A resumed training therefore equals an uninterrupted one bit for bit, on one
    type of device and with the same number of threads.

    Args:
        network: the freshly initialised network, on the device that is to train it.
        dataset: all images; they are copied to the device as a whole.
        config: settings of the training.
        seed: seed of shuffling, distortions and random layers of the network.
        resume_from: state that an earlier call passed to ``on_epoch``.
        on_epoch: called after every epoch.

    Raises:
        FloatingPointError: a loss became infinite or NaN.
        ValueError: the configuration asks for no epoch, and no state is resumed.
    """
    device = next(network.parameters()).device
    train = Split(dataset.train.images.to(device), dataset.train.labels.to(device))
    validation = Split(dataset.validation.images.to(device), dataset.validation.labels.to(device))
    optimizer = _optimizer(network, config)
    done, train_s = 0, 0.0
    best: BestEpoch | None = None
    if resume_from is not None:
        network.load_state_dict(resume_from["network"])
        optimizer.load_state_dict(resume_from["optimizer"])
        done, train_s, best = resume_from["epoch"], resume_from["train_s"], resume_from["best"]
    for epoch in range(done + 1, config.epochs + 1):
        started = time.perf_counter()
        torch.manual_seed(derived_seed(seed, "epoch", epoch))
        train_loss = _train_epoch(network, optimizer, dataset, train, config, epoch)
        accuracy, loss = evaluate(network, dataset, validation)
        _require_finite(epoch, train_loss, loss)
        if best is None or (accuracy, -loss) > (best["accuracy"], -best["loss"]):
            weights = {n: t.detach().clone() for n, t in network.state_dict().items()}
            best = BestEpoch(epoch=epoch, accuracy=accuracy, loss=loss, weights=weights)
        train_s += time.perf_counter() - started
        if on_epoch is not None:
            state = TrainingState(
                epoch=epoch,
                train_s=train_s,
                network=network.state_dict(),
                optimizer=optimizer.state_dict(),
                best=best,
            )
            on_epoch(EpochReport(epoch, train_loss, accuracy, loss, train_s), state)
    if best is None:
        raise ValueError(f"a training takes one epoch or more, not {config.epochs}")
    network.load_state_dict(best["weights"])
    test = Split(dataset.test.images.to(device), dataset.test.labels.to(device))
    logits = _logits(network, dataset, test)
    test_accuracy, test_loss = _score(logits, test.labels)
    return TrainedNetwork(
        weights=best["weights"],
        best_epoch=best["epoch"],
        epochs=config.epochs,
        validation_accuracy=best["accuracy"],
        validation_loss=best["loss"],
        test_accuracy=test_accuracy,
        test_loss=test_loss,
        train_s=train_s,
        test_confusion=confusion(logits, test.labels),
    )


def evaluate(network: nn.Module, dataset: ImageDataset, split: Split) -> tuple[float, float]:
    """Return accuracy (0-1) and mean cross-entropy (nats) on a split, in evaluation mode."""
    return _score(_logits(network, dataset, split), split.labels)


def confusion(logits: Tensor, labels: Tensor) -> Confusion:
    """Count the images of each pair of class and predicted class.

    Args:
        logits: logits ``(N, classes)``.
        labels: classes ``(N,)``.
    """
    pairs = torch.stack([labels, logits.argmax(1)], 1)
    found, counts = torch.unique(pairs, dim=0, return_counts=True)
    rows = zip(found.tolist(), counts.tolist(), strict=True)
    return tuple((label, predicted, count) for (label, predicted), count in rows)


def learning_rate_factor(step: int, steps: int, warmup: float) -> float:
    """Return the learning rate as a fraction of its peak: a linear rise, then a cosine to zero.

    Source: Loshchilov and Hutter 2017, arXiv 1608.03983, section 3, without restarts.
    """
    rise = max(1, round(warmup * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / (steps - rise)))


@torch.no_grad()
def _logits(network: nn.Module, dataset: ImageDataset, split: Split) -> Tensor:
    network.eval()
    chunks = torch.split(split.images, EVALUATION_BATCH)
    return torch.cat([network(dataset.normalise(chunk)) for chunk in chunks])


def _score(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    accuracy = (logits.argmax(1) == labels).float().mean().item()
    return accuracy, F.cross_entropy(logits, labels).item()


def _optimizer(network: nn.Module, config: FinalConfig) -> torch.optim.SGD:
    parameters = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.SGD(
        groups, lr=config.learning_rate, momentum=config.momentum, nesterov=config.momentum > 0
    )


def _train_epoch(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    dataset: ImageDataset,
    train: Split,
    config: FinalConfig,
    epoch: int,
) -> float:
    """Train on one pass over the training images and return the mean loss of its steps."""
    network.train()
    augment = augmentation_for(dataset.image_shape[0]) if config.augment else None
    batches = list(_batches(len(train), config.batch_size))
    total = torch.zeros((), device=train.images.device)
    for index, batch in enumerate(batches):
        step, steps = (epoch - 1) * len(batches) + index, config.epochs * len(batches)
        factor = learning_rate_factor(step, steps, config.warmup)
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * factor
        chosen = batch.to(train.images.device)
        images = dataset.normalise(train.images[chosen])
        logits = network(images if augment is None else augment(images))
        loss = F.cross_entropy(logits, train.labels[chosen], label_smoothing=config.label_smoothing)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        total += loss.detach()
    return total.item() / len(batches)


def _batches(count: int, size: int) -> Iterator[Tensor]:
    """Yield shuffled indices in whole batches; if there are fewer, yield all as one batch."""
    order = torch.randperm(count)
    for batch in torch.split(order, size):
        if len(batch) == min(size, count):
            yield batch


def _require_finite(epoch: int, train_loss: float, validation_loss: float) -> None:
    for name, loss in (("training", train_loss), ("validation", validation_loss)):
        if not math.isfinite(loss):
            raise FloatingPointError(f"{name} loss became {loss} in epoch {epoch}")
