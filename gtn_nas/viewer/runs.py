"""Finds the runs in a folder or below a bucket's prefix, and reads the data of their pages."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gtn_nas.errors import GtnNasError, RunFolderError
from gtn_nas.report.page import report_data
from gtn_nas.report.pictures import Pictures
from gtn_nas.report.snapshot import read
from gtn_nas.results.layout import CONFIG, TABLES, is_run, part_files
from gtn_nas.results.query import Run
from gtn_nas.storage.files import Place, for_each, names_in

KEPT = 32
"""Most runs kept open; for a run in a bucket, an open run keeps local copies of its part files."""

OVERVIEW = """
SELECT count(DISTINCT key) AS candidates, min(created_at) AS started, max(created_at) AS written
FROM candidates
"""
LAST = """
SELECT kind, created_at FROM events WHERE kind IN ('start', 'resume', 'end')
ORDER BY created_at DESC LIMIT 1
"""


class NoRunError(GtnNasError):
    """There is no run of the given name."""


@dataclass
class _Opened:
    """An open run, with its latest overview and page data and the stamps of the files read."""

    run: Run
    data_stamp: str = ""
    data: dict[str, Any] | None = None
    overview_stamp: str = ""
    overview: dict[str, Any] | None = None


class RunCatalogue:
    """Finds runs by their names and reads them; a run is read again only when it has changed.

    Args:
        root: the folder or bucket prefix with the runs.
        pictures: draws architectures and lessons.

    Raises:
        RunFolderError: there is no such folder.
    """

    def __init__(self, root: Place, pictures: Pictures) -> None:
        if not root.exists():
            raise RunFolderError(f"there is no folder {root}")
        if is_run(root):
            raise RunFolderError(f"{root} is a run; name the folder that it is in")
        self.root = root.resolve() if isinstance(root, Path) else root
        self.pictures = pictures
        self._opened: OrderedDict[str, _Opened] = OrderedDict()
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """Return the names of all runs, sorted.

        Raises:
            StoreError: the bucket does not answer.
        """
        if isinstance(self.root, Path):
            found = [entry.name for entry in self.root.iterdir()]
        else:
            found = self.root.folders()
        plain = sorted(name for name in found if _is_plain(name))
        kept = for_each([self.root / name for name in plain], self._is_shown)
        return [name for name, shown in zip(plain, kept, strict=True) if shown]

    def overview(self, name: str) -> dict[str, Any]:
        """Return a run's entry in the list of runs; for an unreadable run, its name and ``error``.

        Raises:
            NoRunError: there is no run of this name.
        """
        with self._lock:
            try:
                opened = self._open(name)
                stamp = _stamp(opened.run.folder)
                if opened.overview is None or opened.overview_stamp != stamp:
                    opened.overview, opened.overview_stamp = _overview(opened.run), stamp
            except NoRunError:
                raise
            except GtnNasError as error:
                return {"name": name, "error": str(error)}
            return opened.overview

    def stamp(self, name: str) -> str:
        """Return a hash that changes whenever a part file is written to a run.

        Raises:
            NoRunError: there is no run of this name.
        """
        return _stamp(self._folder(name))

    def data(self, name: str) -> tuple[str, dict[str, Any]]:
        """Return the stamp of a run and everything that its page shows.

        Raises:
            NoRunError: there is no run of this name.
            GtnNasError: the run cannot be read.
        """
        with self._lock:
            opened = self._open(name)
            stamp = _stamp(opened.run.folder)
            if opened.data is None or opened.data_stamp != stamp:
                opened.data = report_data(read(opened.run), self.pictures)
                opened.data_stamp = stamp
            return stamp, opened.data

    def _open(self, name: str) -> _Opened:
        folder = self._folder(name)
        if name not in self._opened:
            self._opened[name] = _Opened(Run(folder))
        self._opened.move_to_end(name)
        while len(self._opened) > KEPT:
            self._opened.popitem(last=False)
        return self._opened[name]

    def _folder(self, name: str) -> Place:
        folder = self.root / name
        if not _is_plain(name) or not self._is_shown(folder):
            raise NoRunError(f"there is no run {name!r} in {self.root}")
        return folder

    def _is_shown(self, folder: Place) -> bool:
        """Tell whether a folder is a run with no symbolic link that leads out of ``root``."""
        if not is_run(folder):
            return False
        if not isinstance(folder, Path) or not isinstance(self.root, Path):
            return True
        tables = [folder / table for table in TABLES]
        parts = [table / name for table in tables for name in names_in(table)]
        places = [folder, folder / CONFIG, *tables, *parts]
        return all(place.resolve().is_relative_to(self.root) for place in places)


def _is_plain(name: str) -> bool:
    """Tell whether a name has no path separator, is no ``..``, and can be used in a URL."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return name not in ("", ".", "..") and not set(name) & set("/\\\0")


def _stamp(folder: Place) -> str:
    """Return a hash of the names of a run's part files, since a part file never changes."""
    names = [part.name for table in TABLES for part in part_files(folder, table)]
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:32]


def _overview(run: Run) -> dict[str, Any]:
    [found] = run.sql(OVERVIEW)
    winner = run.winner or {"key": None, "test_accuracy": None}
    last = next(iter(run.sql(LAST)), {"kind": None, "created_at": None})
    moments = [m for m in (found["written"], last["created_at"]) if m is not None]
    config = run.config
    return {
        "name": run.name,
        "error": None,
        "dataset": str(config.get("dataset", "")),
        "space": str(config.get("space", "")),
        "candidates": found["candidates"],
        "winner": winner["key"],
        "test_accuracy": winner["test_accuracy"],
        "ended": last["kind"] == "end",
        "written": max(moments).isoformat(" ", "seconds")[:19] if moments else "",
    }
