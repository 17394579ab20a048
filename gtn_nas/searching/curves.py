"""Curves of a run for TensorBoard: every full training, and the best candidate so far.

They are in ``tensorboard/`` of the run folder, some kilobytes for each: ``tensorboard --logdir
RUN/tensorboard`` shows them while the run goes on.
"""

from __future__ import annotations

import math
import secrets
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from gtn_nas.errors import EnvironmentFailure
from gtn_nas.ranking.columns import lower_ranks_first, rank_loss
from gtn_nas.storage.files import Place, remove_tree, whole_file
from gtn_nas.training.train import EpochReport
from gtn_nas.trial import Record, Status

FOLDER = "tensorboard"
"""In the run folder."""

CANDIDATES = "candidates"
"""In that folder, beside one folder for each full training, which has the candidate's key."""


class Curve:
    """Values over steps, in an event file of its own.

    Args:
        folder: where to; TensorBoard takes all event files in a folder for one curve.
        first_step: of what is added; whatever an earlier file has from there on is void.

    Raises:
        EnvironmentFailure: it cannot be written.
    """

    def __init__(self, folder: Place, first_step: int = 0) -> None:
        # Not its SummaryWriter, which writes in a thread, and sometimes after it was flushed.
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        self.folder = folder
        # An event file grows, and files of a bucket do not: those are written anew each time.
        self._aside = tempfile.TemporaryDirectory(prefix="gtn-nas-")
        self._local = folder if isinstance(folder, Path) else Path(self._aside.name)
        try:
            self._local.mkdir(parents=True, exist_ok=True)
            # Its name holds the second, which two files can share.
            self._writer = EventsWriter(str(self._local / "events"), f".{secrets.token_hex(4)}")
        except OSError as error:
            raise EnvironmentFailure(f"cannot write {folder}: {error.strerror}") from error
        log = SessionLog(status=SessionLog.START)
        self._writer.write_event(Event(wall_time=time.time(), step=first_step, session_log=log))

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Add values at a step, by names that are letters, digits, ``_`` and ``/``."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        for name, value in values.items():
            event = Event(wall_time=time.time(), step=step, summary=scalar(name, value))
            self._writer.write_event(event)

    def flush(self) -> None:
        """Let others see what was added.

        Raises:
            EnvironmentFailure: it cannot be written.
        """
        try:
            self._writer.flush()
        except OSError as error:
            raise EnvironmentFailure(f"cannot write {self.folder}: {error.strerror}") from error
        if isinstance(self.folder, Path):
            return
        for file in self._local.iterdir():
            with whole_file(self.folder / file.name) as copy:
                copy.write(file.read_bytes())

    def close(self) -> None:
        """Let go of the file, in which everything stands that was flushed."""
        with suppress(OSError):
            self._writer.close()
        self._aside.cleanup()


class TrainingCurves:
    """A curve for each full training of a run.

    Args:
        run: the run folder.
    """

    def __init__(self, run: Place) -> None:
        self.folder = run / FOLDER
        self._open: dict[str, Curve] = {}

    def add(self, key: str, report: EpochReport) -> None:
        """Add what an epoch showed."""
        if key not in self._open:
            self._open[key] = Curve(self.folder / key, report.epoch)
        curve = self._open[key]
        curve.add(
            report.epoch,
            {
                "loss/train": report.train_loss,
                "loss/validation": report.validation_loss,
                "accuracy/validation": report.validation_accuracy,
            },
        )
        curve.flush()

    def end(self, key: str) -> None:
        """Close the curve of a training, if it has one."""
        if key in self._open:
            self._open.pop(key).close()

    def close(self) -> None:
        """Close all curves."""
        for key in list(self._open):
            self.end(key)


def write_best_so_far(run: Place, records: Sequence[Record], columns: Iterable[str]) -> None:
    """Write how the best value of some measures grew with the number of candidates.

    Args:
        run: the run folder.
        records: in the order in which they were told.
        columns: names of measures; those that no candidate has are left out.
    """
    folder = run / FOLDER / CANDIDATES
    remove_tree(folder)  # a run that was continued tells everything again
    found = {name: _improvements(records, name) for name in columns}
    if not any(found.values()):
        return
    curve = Curve(folder)
    for name, points in found.items():
        for step, value in points:
            curve.add(step, {f"best_so_far/{name}": value})
    curve.flush()
    curve.close()


def _improvements(records: Sequence[Record], column: str) -> list[tuple[int, float]]:
    """Return after how many candidates which value was the best, and what it was at the end."""
    points: list[tuple[int, float]] = []
    least = math.inf
    for count, record in enumerate(records, start=1):
        loss = rank_loss(record, column) if record.status is Status.OK else None
        if loss is not None and loss < least:
            least = loss
            points.append((count, loss if lower_ranks_first(column) else -loss))
    if points and points[-1][0] < len(records):
        points.append((len(records), points[-1][1]))
    return points
