"""A run whose candidates have a truth that costs nothing: the wider, the better."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from gtn_nas.architecture import Architecture
from gtn_nas.spaces import get_space
from gtn_nas.trial import Record, Status, Trial

from .results.samples import write_run

SPACE = get_space("conv_chain")


def architectures(count: int) -> list[Architecture]:
    rng = random.Random(0)
    found: dict[str, Architecture] = {}
    while len(found) < count:
        architecture = SPACE.sample(rng)
        found[architecture.key] = architecture
    return list(found.values())


def loss_of(architecture: Architecture) -> float:
    widths = (v for name, v in architecture.choices.items() if name.startswith("width"))
    return 1 / sum(int(width or 0) for width in widths)


def labelled(architecture: Architecture, budget: int = 4, **values: Any) -> Record:
    defaults = {"status": Status.OK, "extra": {"real_loss": loss_of(architecture)}}
    return Record.of(Trial(architecture, budget, 0), **defaults | values)


def write_labels(folder: Path, count: int = 40) -> Path:
    return write_run(folder, [labelled(architecture) for architecture in architectures(count)])
