"""Train finals as trials of Ray Tune: several at once, with saved states and one retry each."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ray
from ray import tune

from gtn_nas.errors import EnvironmentFailure, ResourceError, one_line
from gtn_nas.storage.files import Place
from gtn_nas.training.final import (
    Ends,
    FinalJob,
    FinalOutcome,
    FinalTask,
    OnFinal,
    OnReport,
    stopped,
    train_from_state,
)
from gtn_nas.training.train import EpochReport
from gtn_nas.trial import Status

OUTCOME = "outcome"
REPORT = "report"


def train_with_tune(
    task: FinalTask,
    jobs: Sequence[FinalJob],
    folder: Place,
    on_report: OnReport,
    on_final: OnFinal,
    *,
    cpus: float = 1.0,
    gpus: float = 0.0,
    ends: Ends | None = None,
) -> None:
    """Train every job as a Tune trial on the cluster that this process is connected to.

    If a trial's worker dies, the trial is started once more from its last saved state. A job that
    an earlier call with the same folder did not finish also goes on from its last saved state.
    Workers save states themselves, not through Tune, as trainings without Ray do. One bucket can
    therefore serve all nodes, and workers wait while the bucket does not answer.

    Args:
        task: search space, data and settings that all jobs share.
        jobs: candidates to train.
        folder: holds the saved states, in one folder for each candidate; a node that finds no state
            there starts from the beginning.
        on_report: called after every epoch, in this process.
        on_final: called when a trial has ended, in this process.
        cpus: CPUs of one trial, and thus its number of threads.
        gpus: GPUs of one trial.
        ends: decides, in this process, which trainings end early; by default none.

    Raises:
        ResourceError: no node has room for one trial.
        EnvironmentFailure: Tune failed, or ``on_report``, ``on_final`` or ``ends`` did.
    """
    if not jobs:
        return
    _require_room(cpus, gpus)
    # Tune reads these settings only from the environment. They turn off its CSV and TensorBoard
    # files, and leave Ctrl-C to the caller.
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # the new output ignores verbose=0
    by_key = {job.architecture.key: job for job in jobs}
    resources = {"cpu": cpus, "gpu": gpus} if gpus else {"cpu": cpus}
    # Absolute, since each trial has a working directory of its own.
    place = folder.resolve() if isinstance(folder, Path) else folder
    trainable = tune.with_parameters(_train, task=task, jobs=by_key, folder=place)
    with tempfile.TemporaryDirectory() as notes:  # Tune's own files, not needed afterwards
        tuner = tune.Tuner(
            tune.with_resources(trainable, resources),
            param_space={"key": tune.grid_search(list(by_key))},
            tune_config=tune.TuneConfig(
                trial_name_creator=_name, trial_dirname_creator=_name, reuse_actors=False
            ),
            run_config=tune.RunConfig(
                name="finals",
                storage_path=notes,
                callbacks=[_Listener(by_key, on_report, on_final)],
                stop=None if ends is None else _stop(ends, on_final, by_key),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=1),
            ),
        )
        try:
            tuner.fit()
        except tune.TuneError as error:
            if isinstance(error.__context__, EnvironmentFailure):  # raised by one of our callbacks
                raise error.__context__ from None
            raise EnvironmentFailure(f"the full trainings failed: {one_line(error)}") from error


def _train(
    config: dict[str, str], task: FinalTask, jobs: dict[str, FinalJob], folder: Place
) -> None:
    """Train one job inside a trial; the last report carries the outcome."""

    def on_epoch(report: EpochReport) -> None:
        tune.report({REPORT: report})

    tune.report({OUTCOME: train_from_state(task, jobs[config["key"]], folder, on_epoch)})


def _stop(
    ends: Ends, on_final: OnFinal, jobs: dict[str, FinalJob]
) -> Callable[[str, dict[str, Any]], bool]:
    """Return the function that Tune calls, in this process, to learn whether a trial ends."""

    def stop(trial_id: str, result: dict[str, Any]) -> bool:
        key = result["config"]["key"]
        if REPORT not in result or not ends(key, result[REPORT]):
            return False
        on_final(jobs[key], stopped(result[REPORT]))
        return True

    return stop


class _Listener(tune.Callback):  # type: ignore[misc]  # Ray is not typed
    """Passes the reports and outcomes of trials to the caller's functions."""

    def __init__(self, jobs: dict[str, FinalJob], on_report: OnReport, on_final: OnFinal) -> None:
        self.jobs, self.on_report, self.on_final = jobs, on_report, on_final

    def __getstate__(self) -> dict[str, Any]:
        """Save nothing with Tune's own state: the functions exist only in this process."""
        return {}

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        job = self.jobs[trial.config["key"]]
        if OUTCOME in result:
            self.on_final(job, result[OUTCOME])
        elif REPORT in result:
            self.on_report(job, result[REPORT])

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        reason = trial.get_error()
        text = one_line(reason) if reason else "its worker died"
        self.on_final(self.jobs[trial.config["key"]], FinalOutcome(Status.CRASHED, text))


def _name(trial: Any) -> str:
    return str(trial.config["key"])


def _require_room(cpus: float, gpus: float) -> None:
    """Refuse a trial that fits on no node: Tune would silently wait for room."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(n.get("CPU", 0) >= cpus and n.get("GPU", 0) >= gpus for n in nodes):
        raise ResourceError(
            f"no node of the cluster has {cpus:g} CPUs + {gpus:g} GPUs for a full training"
        )
