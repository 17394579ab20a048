"""Packs the folder that a job is sent with: its configuration and the local files that it names."""

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
"""Settings that name small files; these are sent with the job."""

KEPT = ("data_dir", "rank_labels", "checkpoint", "out")
"""Settings that name places that the cluster can reach; nothing is sent for them."""

MAX_BYTES = 64 * 2**20
"""Largest total size of the sent files; data sets and runs are not sent."""


@dataclass(frozen=True)
class Command:
    """A command to run on a cluster.

    Attributes:
        name: ``search``, ``pretrain`` or ``validate-proxy``.
        kind: class of the command's configuration.
        settings: the settings that the user gave.
        flags: options that are not settings, such as ``--resume``.
    """

    name: str
    kind: type[DataConfig]
    settings: Mapping[str, Any]
    flags: tuple[str, ...] = ()


def pack(command: Command, folder: Path) -> list[str]:
    """Put everything that a command needs from this machine into a folder.

    Args:
        command: the command to run.
        folder: an empty folder; the job runs in a copy of it.

    Returns:
        The command line to run in that copy.

    Raises:
        ConfigError: a setting is wrong, or names a place that the cluster cannot reach.
    """
    config = parse(command.kind, command.settings)
    for place in (data_folder(config), *command.settings.values()):
        refuse_secrets(str(place))  # the settings of a job are shown to every user of the cluster
    _refuse_unknown(config)
    _refuse_address(command)
    _refuse_lost(command, config)
    for name, spec in own_modules(config.model_dump()).items():
        _send_module(name, spec, folder)
    # Without an address, so that a resumed run does not connect to the cluster of its first start.
    settings = {**command.settings, **_send_files(config, folder), "address": None}
    plain = {n: str(v) if isinstance(v, Path) else v for n, v in settings.items()}
    (folder / CONFIG).write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")
    _refuse_much(folder)
    return ["gtn-nas", command.name, "--config", CONFIG, *command.flags]


def _refuse_unknown(config: DataConfig) -> None:
    """Refuse an unknown name of a data set, a search space or a teacher."""
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
    """Refuse places in the job's folder, which the cluster deletes when the job has ended.

    Raises:
        ConfigError: such a place was named, or no place for the results.
    """
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
    """Return the files to send that exist on this machine, by the name of their setting."""
    return {n: p for n, p in local_inputs(config).items() if n in SENT and p.is_file()}


def _send_files(config: DataConfig, folder: Path) -> dict[str, str]:
    """Copy the files of ``SENT`` that exist on this machine into the job's folder.

    Returns:
        The path of each copy in the job's folder, by the name of its setting.

    Raises:
        ConfigError: a relative path names no file on this machine. An absolute one may be a file of
            the cluster.
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
    """Copy the module that a setting names, or its whole package, from the current directory.

    Raises:
        ConfigError: no such module is in the current directory or installed.
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
    """Return the names in a package that are not copied: hidden, compiled or symbolic links."""
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
