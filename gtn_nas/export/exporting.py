"""Exports a network of a run: writes a temporary folder, checks it, then renames it."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save
from torch import Tensor, nn

from gtn_nas.errors import (
    ConfigError,
    EnvironmentFailure,
    ExportError,
    RunFolderError,
    UnknownNameError,
)
from gtn_nas.export import own_space
from gtn_nas.export.check import TOLERANCES, differences
from gtn_nas.export.documents import FILES, architecture_json, preprocess_py, readme
from gtn_nas.export.onnx_file import write_onnx
from gtn_nas.export.source import Source, source_of
from gtn_nas.export.trained import Trained, load_trained

FORMATS = tuple(TOLERANCES)
"""The formats that a network can be exported in."""

EXPORTED = frozenset({*FILES, "README.md", own_space.FOLDER, "__pycache__"})
"""Names that the folder of an export can have, with the one that importing from it adds."""


@dataclass(frozen=True)
class Exported:
    """An export.

    Attributes:
        folder: the folder of the export.
        trained: the network.
        differences: how far the logits of each format are from the network's, as a share of the
            largest logit if that is above 1.
    """

    folder: Path
    trained: Trained
    differences: Mapping[str, float]


def export(
    run: str | Path,
    to: str | Path,
    *,
    rank: int = 1,
    key: str | None = None,
    space: str | None = None,
    formats: tuple[str, ...] = FORMATS,
    replace: bool = False,
) -> Exported:
    """Write a fully trained network of a run as files that can be used without this package.

    The folder appears only when a new process has loaded every format and computed the same logits
    as the trained network.

    Args:
        run: run folder, or its URI.
        to: folder to create; an existing one must be empty.
        rank: the network's rank by validation accuracy; the winner has rank 1.
        key: key of the network's architecture, instead of its rank.
        space: the run's search space; required if that is a module of the user's own.
        formats: the formats to write, of ``FORMATS``.
        replace: replace an earlier export in ``to``.

    Raises:
        ExportError: a format cannot be written, or computes other logits than the network.
        GtnNasError: the input is wrong, or the folder cannot be written.
    """
    folder = _target(to, replace)
    for name in formats:
        if name not in FORMATS:
            raise UnknownNameError("format", name, FORMATS)
    trained = load_trained(run, rank, key, space)
    with _written_aside(folder) as aside:
        _write(aside, trained, formats)
        found = differences(aside, formats, trained.network, trained.images)
    return Exported(folder, trained, found)


def _write(folder: Path, trained: Trained, formats: tuple[str, ...]) -> None:
    """Write all files of an export."""
    if "pytorch" in formats:
        source = _source(trained)
        (folder / "model.py").write_text(source.text, encoding="utf-8")
        tensors = _tensors(trained.network)
        weights = {there: tensors[here].contiguous() for here, there in source.names.items()}
        (folder / "weights.safetensors").write_bytes(save(weights))
    if "onnx" in formats:
        write_onnx(trained.network, trained.images.shape, folder / "model.onnx")
    (folder / "preprocess.py").write_text(preprocess_py(trained.images), encoding="utf-8")
    (folder / "architecture.json").write_text(architecture_json(trained), encoding="utf-8")
    told = own_space.copy_module(trained.space, folder) if ":" in trained.spec else None
    text = readme(trained, os.listdir(folder), told)
    (folder / "README.md").write_text(text, encoding="utf-8")


def _source(trained: Trained) -> Source:
    key, (channels, height, width) = trained.architecture.key, trained.images.shape
    classes = len(trained.images.classes)
    images = f"(N, {channels}, {height}, {width})"
    try:
        return source_of(
            trained.network,
            f"The network {key}, as plain PyTorch; README.md says how to use it.",
            f"Maps normalised images {images} to logits (N, {classes}).",
        )
    except ExportError as error:
        raise ExportError(f"{error}; --formats onnx leaves model.py out") from error


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    """Return all parameters and buffers, with the buffers that a state dictionary leaves out."""
    named = [*network.named_parameters(), *network.named_buffers()]
    return {name: tensor.detach().clone() for name, tensor in named}


def _target(to: str | Path, replace: bool) -> Path:
    """Return the folder to create, after checking that it may be created or replaced."""
    if "://" in str(to):
        raise ConfigError(f"--to is a folder on this machine, not {to}")
    folder = Path(to).expanduser().resolve()
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"{folder} is not a folder; choose another --to")
    there = set(os.listdir(folder)) if folder.exists() else set()
    if there and not replace:
        raise RunFolderError(
            f"{folder} is not empty; choose another --to"
            + (", or replace that export with --replace" if _is_export(there) else "")
        )
    if there and not _is_export(there):
        raise RunFolderError(f"{folder} is no earlier export, and is not replaced; choose another")
    return folder


def _is_export(names: set[str]) -> bool:
    return names <= EXPORTED and "architecture.json" in names


@contextmanager
def _written_aside(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder; rename it to ``folder`` on success, and remove it on an error."""
    aside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
    old = aside.with_suffix(".old")
    try:
        aside.mkdir(parents=True)
        yield aside
        if folder.exists():
            folder.rename(old)
        aside.rename(folder)
    except OSError as error:
        if old.exists() and not folder.exists():
            with suppress(OSError):
                old.rename(folder)
        raise EnvironmentFailure(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
