"""Curves of a run for TensorBoard: every full training, and the best candidate so far.

The folder ``tensorboard/`` of the run folder holds them, a few kilobytes for each curve.
``tensorboard --logdir RUN/tensorboard`` shows them while the run goes on.
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
"""Folder of all curves, in the run folder."""

CANDIDATES = "candidates"
"""Folder of the candidates' curve, in ``FOLDER``; a full training's folder is named by its key."""


class Curve:
    """Values over steps, in an event file of its own.

    Args:
        folder: folder of the event file; TensorBoard shows all event files of a folder as one
            curve.
        first_step: first step that will be added; TensorBoard drops what earlier files of the
            folder have from this step on.

    Raises:
        EnvironmentFailure: the file cannot be written.
    """

    def __init__(self, folder: Place, first_step: int = 0) -> None:
        # Not tensorboardX's SummaryWriter: its thread sometimes still writes after a flush.
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        self.folder = folder
        # An event file grows, but a file in a bucket cannot: it is written as a whole each time.
        self._aside = tempfile.TemporaryDirectory(prefix="gtn-nas-")
        self._local = folder if isinstance(folder, Path) else Path(self._aside.name)
        try:
            self._local.mkdir(parents=True, exist_ok=True)
            # The writer names a file by the second; the suffix keeps two files of one second apart.
            self._writer = EventsWriter(str(self._local / "events"), f".{secrets.token_hex(4)}")
        except OSError as error:
            raise EnvironmentFailure(f"cannot write {folder}: {error.strerror}") from error
        log = SessionLog(status=SessionLog.START)
        self._writer.write_event(Event(wall_time=time.time(), step=first_step, session_log=log))

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Add values at a step; names consist of letters, digits, ``_`` and ``/``."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        for name, value in values.items():
            event = Event(wall_time=time.time(), step=step, summary=scalar(name, value))
            self._writer.write_event(event)

    def flush(self) -> None:
        """Write all added values to the folder, where readers see them.

        Raises:
            EnvironmentFailure: the file cannot be written.
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
        """Close the file; values that were flushed stay in it."""
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
        """Add the losses and the accuracy of one epoch of a candidate's training."""
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
    """Write how the best value of each measure changed with the number of candidates.

    Args:
        run: the run folder.
        records: the run's records, in the order in which the strategy was told them.
        columns: names of measures; measures that no candidate has are left out.
    """
    folder = run / FOLDER / CANDIDATES
    remove_tree(folder)  # a resumed run writes all its records again
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
    """Return each new best value with the number of candidates until then, and the last best."""
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
