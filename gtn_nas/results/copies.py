"""Local copies of the part files of a run in a bucket, since DuckDB reads only local files."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from gtn_nas.storage.bucket import BucketPath
from gtn_nas.storage.files import Place, for_each, whole_file


class Copies:
    """A temporary folder of copies, which is deleted with this object.

    A part file gets a unique name and never changes, so a copy never becomes outdated.
    """

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def local(self, files: Mapping[str, Sequence[Place]]) -> dict[str, list[Path]]:
        """Return a local file for each part file, after downloading those in a bucket.

        Args:
            files: the part files of every table.

        Raises:
            FileNotFoundError: the run's writer has merged a part file into another meanwhile.
            EnvironmentFailure: the bucket does not answer, or the disk is full.
        """
        if not any(isinstance(part, BucketPath) for parts in files.values() for part in parts):
            return {t: [p for p in parts if isinstance(p, Path)] for t, parts in files.items()}
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="gtn-nas-")
        folder = Path(self._folder.name)

        def fetched(part: Place) -> Path:
            copy = folder / part.parent.name / part.name
            if not copy.exists():
                contents = part.read_bytes()
                with whole_file(copy) as file:
                    file.write(contents)
            return copy

        return {table: for_each(parts, fetched) for table, parts in files.items()}
