"""One class per failure that a caller can act on.

Every message names what was wrong, where, and what to do about it. The command line prints the
message alone and exits with the class's ``exit_code``: 2 for bad input, 1 for an environment that
cannot do what was asked.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MAX_ERROR = 500
"""Largest number of characters that are kept of an error's text."""


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
    """None of the shipped teachers fits the data set; the user can make one that does."""


class RunFolderError(GtnNasError):
    """A folder is not a run folder, is in use, or holds another run."""


class QueryError(GtnNasError):
    """A query expression is wrong or asks for something that is not allowed."""


class ResourceError(GtnNasError):
    """A worker asks for more CPUs or GPUs than the cluster has."""


class EnvironmentFailure(GtnNasError):
    """The input was good, but the machine, the network or the cluster failed."""

    exit_code = 1


class StoreError(EnvironmentFailure):
    """An object store does not answer, or refuses a request."""


class DownloadError(EnvironmentFailure):
    """A data set could not be downloaded."""


class ClusterError(EnvironmentFailure):
    """No Ray cluster answered, or it stopped answering."""


class ExportError(EnvironmentFailure):
    """A network cannot be exported, or the exported file's outputs differ from the network's."""


class MetaTrainingError(EnvironmentFailure):
    """Meta-training cannot go on: too many non-finite steps in a row."""


class UnknownNameError(ConfigError):
    """A name is unknown; the message suggests similar known names.

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
        """Pickle the three parts, since the message alone cannot rebuild the error."""
        return type(self), (self.kind, self.name, self.known)


def one_line(error: BaseException) -> str:
    """Return an error as ``"ValueError: message"``, in at most 500 printable characters."""
    try:
        text = str(error)
    except Exception:  # a candidate's own error class may have a broken __str__
        text = ""
    text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    printable = "".join(c if c.isprintable() else " " for c in text[: 4 * MAX_ERROR])
    return " ".join(printable.split())[:MAX_ERROR]
