"""What a job takes along: its configuration, and the few files of this machine that it names."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gtn_nas.config.base import parse
from gtn_nas.config.class_registry import own_modules
from gtn_nas.config.data import DataConfig
from gtn_nas.config.local_inputs import data_folder, is_uri, local_inputs
from gtn_nas.data import DATASETS
from gtn_nas.errors import ConfigError, UnknownNameError
from gtn_nas.spaces import get_space
from gtn_nas.storage.uri import refuse_secrets
from gtn_nas.strategies import get_strategy
from gtn_nas.teacher.artifact import resolve_teacher

CONFIG = "job.yaml"
"""The configuration's name in the job's folder."""

SENT = ("teacher", "start", "truth")
"""Settings whose files are small, and travel with the job."""

KEPT = ("data_dir", "rank_labels", "checkpoint", "out")
"""Settings that name places of the cluster."""

MAX_BYTES = 64 * 2**20
"""What a job may take along; data sets and runs belong elsewhere."""


@dataclass(frozen=True)
class Command:
    """A command that is to be run elsewhere.

    Attributes:
        name: ``search``, ``pretrain`` or ``validate-proxy``.
        kind: class of its configuration.
        settings: those that were given.
        flags: options that are no settings, such as ``--resume``.
    """

    name: str
    kind: type[DataConfig]
    settings: Mapping[str, Any]
    flags: tuple[str, ...] = ()


def pack(command: Command, folder: Path) -> list[str]:
    """Put all that a command needs of this machine into a folder.

    Args:
        command: what is to be run.
        folder: an empty folder, which the command will be run in.

    Returns:
        The command line to run there.

    Raises:
        ConfigError: a setting is wrong, or names what the cluster cannot have.
    """
    config = parse(command.kind, command.settings)
    for place in (data_folder(config), *command.settings.values()):
        refuse_secrets(str(place))  # a cluster shows everyone what its jobs were asked
    _refuse_unknown(config)
    _refuse_address(command)
    _refuse_lost(command, config)
    for name, spec in own_modules(config.model_dump()).items():
        _send_module(name, spec, folder)
    # Without an address, so that a resumed run forgets the cluster that it was on.
    settings = {**command.settings, **_send_files(config, folder), "address": None}
    plain = {n: str(v) if isinstance(v, Path) else v for n, v in settings.items()}
    (folder / CONFIG).write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")
    _refuse_much(folder)
    return ["gtn-nas", command.name, "--config", CONFIG, *command.flags]


def _refuse_unknown(config: DataConfig) -> None:
    """Refuse a name that is none of what ships."""
    kind, _, _ = config.dataset.partition(":")
    known = config.dataset if data_folder(config) is None else f"{kind}:DIR"
    if known not in DATASETS:
        raise UnknownNameError("data set", config.dataset, DATASETS)
    own = own_modules(config.model_dump())
    if "space" not in own:
        get_space(config.space)
    strategy = getattr(config, "strategy", None)
    if strategy is not None and "strategy" not in own:
        get_strategy(strategy)
    teacher = getattr(config, "teacher", None)
    if teacher is not None and not is_uri(teacher) and "teacher" not in local_inputs(config):
        resolve_teacher(teacher)


def _refuse_address(command: Command) -> None:
    if command.settings.get("address") is not None:
        raise ConfigError(
            "address: a job runs on the cluster that it is submitted to; name that before the "
            "command: gtn-nas job submit --address http://HOST:8265 -- ..."
        )


def _refuse_lost(command: Command, config: DataConfig) -> None:
    """Refuse places in the job's own folder, which the cluster deletes when the job has ended."""
    if getattr(config, "out", None) is None:
        raise ConfigError(
            "a job needs a place for its results: --out s3://BUCKET/NAME, or an absolute path that "
            "the cluster's machines share"
        )
    places = {n: command.settings.get(n) for n in KEPT}
    for name, place in {"dataset": data_folder(config), **places}.items():
        if place is not None and not is_uri(place) and not _is_absolute(str(place)):
            raise ConfigError(
                f"{name}: {str(place)!r} is a path of this folder, which a cluster does not have; "
                "give a URI such as s3://BUCKET/NAME, or an absolute path of the cluster's machines"
            )
    if "--into-teacher" in command.flags and "teacher" in _found_here(config):
        raise ConfigError(
            "--into-teacher would write into the job's own copy; name a file of the cluster"
        )


def _is_absolute(place: str) -> bool:
    return place.startswith("~") or Path(place).is_absolute()


def _found_here(config: DataConfig) -> dict[str, Path]:
    """Return the small files that are on this machine."""
    return {n: p for n, p in local_inputs(config).items() if n in SENT and p.is_file()}


def _send_files(config: DataConfig, folder: Path) -> dict[str, str]:
    """Copy the small files that are here, and return where the job will find them.

    Raises:
        ConfigError: one is neither here nor, being named without its folder, anywhere else.
    """
    here = _found_here(config)
    for name, path in local_inputs(config).items():
        if name in SENT and name not in here and not path.is_absolute():
            raise ConfigError(f"{name}: there is no file {str(path)!r}")
    sent = {}
    for name, path in here.items():
        sent[name] = f"{name}{path.suffix}"
        shutil.copyfile(path, folder / sent[name])
    return sent


def _send_module(setting: str, spec: str, folder: Path) -> None:
    """Copy the module that a setting names from the current directory, or its whole package.

    Raises:
        ConfigError: there is none, and none is installed under that name.
    """
    name = spec.partition(":")[0].partition(".")[0]
    if Path(f"{name}.py").is_file():
        shutil.copyfile(f"{name}.py", folder / f"{name}.py")
    elif name.isidentifier() and Path(name).is_dir():
        shutil.copytree(name, folder / name, ignore=_not_sent, dirs_exist_ok=True)
    elif not name.isidentifier() or importlib.util.find_spec(name) is None:
        raise ConfigError(
            f"{setting}: there is no module {name!r} in this folder or among the installed ones"
        )


def _not_sent(folder: str, names: list[str]) -> set[str]:
    """Return what of a package stays here: what is hidden, compiled, or only linked to."""
    return {
        name
        for name in names
        if name.startswith(".") or name == "__pycache__" or (Path(folder) / name).is_symlink()
    }


def _refuse_much(folder: Path) -> None:
    sizes = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    if sum(sizes.values()) > MAX_BYTES:
        largest = max(sizes, key=lambda path: sizes[path])
        raise ConfigError(
            f"a job takes at most {MAX_BYTES >> 20} MiB along, and this is "
            f"{sum(sizes.values()) >> 20} MiB, most of it {largest.relative_to(folder)}; keep what "
            "is large in an object store or on a disk of the cluster"
        )
