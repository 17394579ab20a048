"""Loads a fully trained network of a run, and what is needed to use it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from gtn_nas.architecture import Architecture
from gtn_nas.data.base import normalise
from gtn_nas.errors import ConfigError, RunFolderError, UnknownNameError, one_line
from gtn_nas.results.layout import WEIGHTS
from gtn_nas.results.query import Run, load_run
from gtn_nas.spaces import get_space
from gtn_nas.spaces.base import SearchSpace
from gtn_nas.spaces.fingerprint import changed_modules
from gtn_nas.storage.files import Place
from gtn_nas.storage.local_copy import local_copy
from gtn_nas.trial import Status

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Images:
    """The images that a network was trained on, as far as its users must know.

    Attributes:
        dataset: name of the data set.
        classes: names of the classes, in the order of the logits.
        shape: channels, height and width.
        mean: mean of each channel, subtracted from values scaled to 0-1.
        std: standard deviation of each channel, by which the difference is divided.
    """

    dataset: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def normalise(self, pixels: Tensor) -> Tensor:
        """Turn uint8 images ``(N, C, H, W)`` into the network's float32 input."""
        return normalise(pixels, self.mean, self.std)


@dataclass(frozen=True)
class Trained:
    """A fully trained network of a run.

    Attributes:
        run: name of the run.
        rank: the network's rank among the finals by validation accuracy; the winner has rank 1.
        final: the network's row of the table ``finals``.
        architecture: the network's architecture.
        space: the search space.
        spec: the search space as named in the run's configuration.
        network: the network with its trained weights, on the CPU and in evaluation mode.
        images: the images that it was trained on.
    """

    run: str
    rank: int
    final: Mapping[str, Any]
    architecture: Architecture
    space: SearchSpace
    spec: str
    network: nn.Module
    images: Images


def load_trained(uri: str | Path, rank: int, key: str | None, space: str | None) -> Trained:
    """Load a network that a run has trained fully.

    Args:
        uri: the run's folder or URI.
        rank: rank by validation accuracy, from 1.
        key: key of the architecture, instead of the rank.
        space: the run's search space; required if that is a module of the user's own.

    Raises:
        GtnNasError: there is no such run or network, its weights are missing or damaged, or the
            search space was not named or is not the run's.
    """
    run = load_run(uri)
    rank, final = _chosen(run, rank, key)
    spec = run.config.get("space")
    if not isinstance(spec, str):
        raise RunFolderError(f"the configuration of {run.folder} names no search space")
    found = _space(spec, space)
    if found.name != final["space"]:
        raise ConfigError(
            f"this run's networks are of the search space {final['space']!r}, and {space or spec} "
            f"is {found.name!r}"
        )
    _warn_of_changes(run, found, space or spec)
    architecture = Architecture.from_json(final["space"], final["choices"])
    images, weights = _read(run.folder / WEIGHTS / f"{architecture.key}.safetensors")
    network = _built(found, architecture, images, weights)
    folder = run.folder.resolve() if isinstance(run.folder, Path) else run.folder
    return Trained(folder.name, rank, final, architecture, found, spec, network, images)


def _chosen(run: Run, rank: int, key: str | None) -> tuple[int, dict[str, Any]]:
    """Return the rank and the row of the chosen network."""
    finals = {row["key"]: row for row in run.best_finals() if row["status"] == Status.OK}
    keys = list(finals)
    if not keys:
        raise RunFolderError(
            f"{run.folder} has no fully trained network; `gtn-nas search --resume --top-k N` "
            "trains the best N"
        )
    if key is not None and key not in finals:
        raise UnknownNameError("key of a fully trained network", key, keys)
    if key is None and not 1 <= rank <= len(keys):
        has = f"{len(keys)} fully trained networks" if len(keys) > 1 else "1 fully trained network"
        raise ConfigError(f"{run.folder} has {has}, so there is no rank {rank}")
    chosen = keys[rank - 1] if key is None else key
    return keys.index(chosen) + 1, finals[chosen]


def _space(spec: str, named: str | None) -> SearchSpace:
    """Return a run's search space.

    A run may come from somebody else, so a module in it is executed only if the user names it.

    Args:
        spec: the search space as named in the run's configuration.
        named: the search space that the user named, if any.

    Raises:
        ConfigError: the user did not name the module, or named another search space.
    """
    if ":" in spec and named is None:
        raise ConfigError(
            f"this run's search space is the module {spec!r}, which would be executed; name it "
            f"again to allow that: --space {spec}"
        )
    if ":" not in spec and named not in (None, spec):
        raise ConfigError(f"this run's search space is {spec}, not {named}; leave --space out")
    return get_space(named or spec)


def _warn_of_changes(run: Run, space: SearchSpace, spec: str) -> None:
    """Log a warning if the source of the search space has changed since the run was started."""
    started = run.sql("SELECT details FROM events WHERE kind = 'start' LIMIT 1")
    before = json.loads(started[0]["details"]).get("search space") if started else None
    changed = changed_modules(before, space)
    if changed:
        log.warning(
            "the source of the search space %s has changed since this run was started (%s); check "
            "that what is exported is as good as it was",
            spec,
            ", ".join(changed),
        )


def _read(place: Place) -> tuple[Images, dict[str, Tensor]]:
    """Read a weights file: the description of the images in its header, and the tensors."""
    if not place.is_file():
        raise RunFolderError(f"the weights {place} are missing")
    try:
        with local_copy(str(place)) as path, safe_open(path, "pt") as file:
            header = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        channels, height, width = map(int, header["image_shape"].split())
        images = Images(
            header["dataset"],
            tuple(header["classes"].split("\n")),
            (channels, height, width),
            tuple(map(float, header["mean"].split())),
            tuple(map(float, header["std"].split())),
        )
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise RunFolderError(f"the weights {place} are damaged ({one_line(error)})") from error
    return images, weights


def _built(
    space: SearchSpace, architecture: Architecture, images: Images, weights: dict[str, Tensor]
) -> nn.Module:
    try:
        network = space.build(architecture, images.shape, len(images.classes), "final")
        network.load_state_dict(weights)
    except Exception as error:  # a user's own search space may raise anything
        raise RunFolderError(
            f"the weights of {architecture.key} do not fit what the search space {space.name!r} "
            f"builds ({one_line(error)})"
        ) from error
    return network.cpu().eval()
