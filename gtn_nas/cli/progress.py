"""Progress on stderr: a live bar for each stage in a terminal, else a line every few seconds.

The package's log messages go to stderr too: in a terminal from level WARNING on, else from INFO on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

LINE_EVERY_S = 15.0
"""Seconds between two lines if stderr is not a terminal, e.g. a log file."""


LOG = logging.getLogger("gtn_nas")


@dataclass
class Stage:
    """One stage of a command.

    Attributes:
        task: the stage's progress bar.
        began: when the stage was first shown, on the monotonic clock.
        began_at: number of steps done by then, e.g. before a resume.
        told: when the stage's last line was printed, on the monotonic clock.
    """

    task: TaskID
    began: float
    began_at: int
    told: float = 0.0

    def rate(self, done: int) -> float:
        """Return the steps per second since the stage was first shown."""
        elapsed_s = time.monotonic() - self.began
        return (done - self.began_at) / elapsed_s if elapsed_s > 0 else 0.0


class StageProgress:
    """Shows the progress of stages; use it as a context manager."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self._stages: dict[str, Stage] = {}
        self._bars = Progress(
            TextColumn("{task.fields[title]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self._handler = _Lines(self.say)
        self._level = logging.WARNING if self.console.is_terminal else logging.INFO

    def __enter__(self) -> Self:
        LOG.addHandler(self._handler)
        LOG.setLevel(self._level)
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()
        LOG.removeHandler(self._handler)
        LOG.setLevel(logging.NOTSET)

    def say(self, text: str) -> None:
        """Print a line as it is, above the bars."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def update(self, title: str, done: int, total: int, text: str) -> float:
        """Show the progress of a stage.

        Args:
            title: name of the stage.
            done: steps done.
            total: steps in all.
            text: text shown beside the bar.

        Returns:
            The stage's rate in steps per second.
        """
        if title not in self._stages:
            task = self._bars.add_task("", title=title, total=total)
            self._stages[title] = Stage(task, time.monotonic(), done)
        stage = self._stages[title]
        rate = stage.rate(done)
        self._bars.update(stage.task, completed=done, total=total, description=text)
        if not self.console.is_terminal:
            self._print_line(stage, rate, f"{title}: {done}/{total}  {text}", total - done)
        return rate

    def _print_line(self, stage: Stage, rate: float, text: str, missing: int) -> None:
        """Print a line if the last is ``LINE_EVERY_S`` old, or if no step is missing."""
        now = time.monotonic()
        if missing and now - stage.told < LINE_EVERY_S:
            return
        stage.told = now
        left = f", about {missing / rate:.0f} s left" if rate and missing else ""
        self.say(f"{text}  ({now - stage.began:.0f} s{left})")


class _Lines(logging.Handler):
    """Prints log messages with their time in UTC."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self.say = say
        formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
        formatter.converter = time.gmtime
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        self.say(self.format(record))
