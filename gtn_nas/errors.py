"""One class per failure that a caller can act on.

Every message names what was wrong, where, and what to do about it. The command line prints the
message alone and exits with the class's ``exit_code``: 2 for bad input, 1 for an environment that
cannot do what was asked.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MAX_ERROR = 500
"""Characters kept of what foreign code raised."""


class GtnNasError(Exception):
    """Base of every failure this package raises on purpose.

    Example:
        >>> from gtn_nas import GtnNasError, load_run
        >>> try:
        ...     run = load_run("runs/yours")
        ... except GtnNasError as error:
        ...     print(error)
        there is no run folder runs/yours
    """

    exit_code = 2


class ConfigError(GtnNasError):
    """A configuration, a command-line option or an argument is not valid."""


class DataError(GtnNasError):
    """A data source is missing, empty, damaged or of the wrong form."""


class TeacherError(GtnNasError):
    """A teacher artefact cannot be read, or does not fit the data set or the split."""


class NoTeacherError(TeacherError):
    """No teacher that ships fits the data set; one can be made."""


class RunFolderError(GtnNasError):
    """A run folder is not a run, is in use, or holds another run."""


class QueryError(GtnNasError):
    """A query expression is wrong or asks for something a query may not do."""


class ResourceError(GtnNasError):
    """A worker asks for more CPUs or GPUs than the cluster has."""


class EnvironmentFailure(GtnNasError):
    """The input was good, but the machine, the network or the cluster failed."""

    exit_code = 1


class StoreError(EnvironmentFailure):
    """An object store does not answer, or refuses."""


class DownloadError(EnvironmentFailure):
    """A data set could not be downloaded."""


class ClusterError(EnvironmentFailure):
    """No Ray cluster answered, or it stopped answering."""


class ExportError(EnvironmentFailure):
    """A network cannot be written in a format, or what was written does not answer as it does."""


class MetaTrainingError(EnvironmentFailure):
    """Meta-training cannot go on: too many non-finite steps in a row."""


class UnknownNameError(ConfigError):
    """A name that is none of the known ones; the message suggests the nearest.

    Args:
        kind: what the name should have been, e.g. ``"search space"``.
        name: the name that was given.
        known: every name that would have been accepted.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        near = difflib.get_close_matches(name, self.known, n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(self.known)}"
        super().__init__(f"unknown {kind} {name!r}; {hint}")

    def __reduce__(self) -> tuple[type[UnknownNameError], tuple[str, str, list[str]]]:
        """Keep the three parts when the error travels between processes."""
        return type(self), (self.kind, self.name, self.known)


def one_line(error: BaseException) -> str:
    """Return ``"ValueError: what was wrong"`` in at most 500 printable characters."""
    try:
        text = str(error)
    except Exception:  # the error of a candidate can be as broken as the candidate
        text = ""
    text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    printable = "".join(c if c.isprintable() else " " for c in text[: 4 * MAX_ERROR])
    return " ".join(printable.split())[:MAX_ERROR]
