"""Evaluation in the calling process, without Ray, so that a debugger can follow every step."""

from __future__ import annotations

import platform
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from types import FrameType

from gtn_nas.errors import EnvironmentFailure, one_line
from gtn_nas.executors.base import (
    DeadlinePassed,
    EvaluatorFactory,
    Executor,
    Load,
    attempt,
    require_positive,
    timeout,
)
from gtn_nas.trial import Arrays, Evaluate, Record, Trial

_REPEAT_S = 1.0
"""The alarm repeats after this time, for candidates that catch the first ``DeadlinePassed``."""


class InlineExecutor(Executor):
    """Evaluates one trial after the other, in the calling process.

    The time limit is an alarm signal. It has no effect on Windows or outside the main thread, and a
    call into compiled code is interrupted only when it returns. ``KeyboardInterrupt`` and
    ``SystemExit`` end the run, and a candidate that kills its process kills the whole run.

    Args:
        factory: makes the function that scores a trial; called at the first trial.
        arrays: the arrays for the factory, by name; it gets read-only views.
        timeout_s: time limit of one candidate in seconds; none by default.
        threads: torch's intra-operation threads while this executor is open; unchanged by default.
            Ray workers with one CPU use one thread.

    Raises:
        ConfigError: ``timeout_s`` or ``threads`` is not above zero.
    """

    def __init__(
        self,
        factory: EvaluatorFactory,
        arrays: Arrays,
        timeout_s: float | None = None,
        threads: int | None = None,
    ) -> None:
        require_positive(timeout_s=timeout_s, threads=threads)
        self._factory = factory
        self._arrays = arrays
        self._timeout_s = timeout_s
        self._evaluate: Evaluate | None = None
        self._began: float | None = None  # when the first trial was asked for, monotonic clock
        self._busy_s = 0.0
        self._threads_before = _swap_torch_threads(threads) if threads else None

    def run(self, trials: Iterable[Trial]) -> Iterator[Record]:
        """Evaluate each trial when it is pulled; see ``Executor.run``."""
        evaluate = self._evaluate = self._evaluate or self._prepare()
        self._began = self._began or time.monotonic()
        for trial in trials:
            start = time.monotonic()
            record = self._attempt(evaluate, trial)
            self._busy_s += time.monotonic() - start
            yield replace(record, worker="inline", node=platform.node())

    def load(self) -> Load:
        """Return how busy this process has been since the first trial; see ``Executor.load``."""
        elapsed_s = time.monotonic() - self._began if self._began else 0.0
        return Load({platform.node(): 1}, self._busy_s / elapsed_s if elapsed_s else 0.0)

    def close(self) -> None:
        """Drop the evaluator and restore torch's number of threads."""
        self._evaluate = None
        if self._threads_before:
            _swap_torch_threads(self._threads_before)
            self._threads_before = None

    def _prepare(self) -> Evaluate:
        views = {name: array.view() for name, array in self._arrays.items()}
        for view in views.values():
            view.flags.writeable = False
        try:
            return self._factory(views)
        except Exception as error:
            raise EnvironmentFailure(f"no evaluator could be made: {one_line(error)}") from error

    def _attempt(self, evaluate: Evaluate, trial: Trial) -> Record:
        on_main_thread = threading.current_thread() is threading.main_thread()
        if self._timeout_s is None or not on_main_thread or not hasattr(signal, "setitimer"):
            return attempt(evaluate, trial)
        return _attempt_within(self._timeout_s, evaluate, trial)


def _attempt_within(timeout_s: float, evaluate: Evaluate, trial: Trial) -> Record:
    """Evaluate a trial under an alarm signal, and restore the caller's own alarm afterwards."""
    armed = True

    def strike(signum: int, frame: FrameType | None) -> None:
        if armed:
            raise DeadlinePassed

    start = time.monotonic()
    handler = signal.signal(signal.SIGALRM, strike)
    others_s, _ = signal.setitimer(signal.ITIMER_REAL, timeout_s, _REPEAT_S)
    try:
        try:
            return attempt(evaluate, trial)
        finally:
            armed = False
    except DeadlinePassed:
        return timeout(trial, timeout_s)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler or signal.SIG_DFL)
        if others_s:
            left_s = others_s - (time.monotonic() - start)
            signal.setitimer(signal.ITIMER_REAL, max(left_s, 1e-3))


def _swap_torch_threads(threads: int) -> int:
    """Set torch's number of intra-operation threads and return the former number."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    return before
