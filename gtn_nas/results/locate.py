"""Find runs by a folder, a URI, or a pattern that matches several."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from gtn_nas.errors import ConfigError, RunFolderError
from gtn_nas.results.layout import CONFIG, is_run
from gtn_nas.storage.bucket import BucketPath
from gtn_nas.storage.files import Place, place_of


def find_runs(names: Iterable[str | Path]) -> list[Place]:
    """Return the run folders for names and patterns such as ``runs/*``, each folder once.

    A folder that matches a pattern but is not a run is left out. In a bucket, only the last part of
    a URI can be a pattern.

    Raises:
        RunFolderError: a name without a pattern is not a run, or a pattern matches no run.
        ConfigError: a URI is of an unknown kind, carries credentials, or has a pattern before its
            last part.
        StoreError: an object store does not answer, or refuses.
    """
    found: dict[str, Place] = {}
    for name in map(str, names):
        for run in _runs(name):
            found.setdefault(_identity(run), run)
    return list(found.values())


def require_run(folder: Place) -> Place:
    """Check that a folder is a run, and return it.

    Raises:
        RunFolderError: the folder does not exist or is not a run.
        StoreError: the bucket does not answer.
    """
    if not folder.exists():
        raise RunFolderError(f"there is no run folder {folder}")
    if not is_run(folder):
        raise RunFolderError(f"{folder} is not a run: it lacks {CONFIG} or its candidates")
    return folder


def _runs(name: str) -> list[Place]:
    if "://" in name:
        base, _, query = name.partition("?")  # in a URI, "?" starts the query and is no wildcard
        if not _is_pattern(base):
            return [require_run(place_of(name))]
        matching = _in_bucket(base, query)
    elif not _is_pattern(name) or Path(name).exists():
        return [require_run(Path(name))]
    else:
        matching = [Path(match) for match in sorted(glob.glob(name))]
    runs = [place for place in matching if is_run(place)]
    if not runs:
        raise RunFolderError(f"no run matches {name!r}")
    return runs


def _in_bucket(base: str, query: str) -> list[Place]:
    """Return the folders in a bucket that match the pattern in the last part of a URI."""
    parent, _, last = base.rstrip("/").rpartition("/")
    if _is_pattern(parent):
        raise ConfigError(f"{base!r}: in a bucket only the last part of a URI can be a pattern")
    folder = BucketPath.of(f"{parent}?{query}" if query else parent)
    return [folder / name for name in sorted(folder.folders()) if fnmatchcase(name, last)]


def _is_pattern(text: str) -> bool:
    return glob.has_magic(text)


def _identity(run: Place) -> str:
    return str(run.resolve()) if isinstance(run, Path) else str(run)
