"""Finals as trials of Ray Tune: side by side, with saved states, one retry each."""

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

    A trial whose worker dies is started once more from its last saved state; so is one that an
    earlier call with the same folder did not finish. Workers save states themselves, as trainings
    without Ray do, so that one bucket serves all nodes and an outage of it is waited out.

    Args:
        task: what the jobs share.
        jobs: what to train.
        folder: where states are kept, one folder a candidate; a node that finds none there starts
            from the beginning.
        on_report: called after every epoch, in this process.
        on_final: called when a trial has ended, in this process.
        cpus: CPUs, and so threads, of one trial.
        gpus: GPUs of one trial.
        ends: which trainings end early, asked in this process; by default none.

    Raises:
        ResourceError: no node has room for one trial.
        EnvironmentFailure: Tune itself failed, or what it called in this process.
    """
    if not jobs:
        return
    _require_room(cpus, gpus)
    # Tune reads these from the environment alone: no CSV and TensorBoard files, and Ctrl-C is the
    # caller's, not Tune's.
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # the new one prints even when not verbose
    by_key = {job.architecture.key: job for job in jobs}
    resources = {"cpu": cpus, "gpu": gpus} if gpus else {"cpu": cpus}
    # A trial has a working directory of its own.
    place = folder.resolve() if isinstance(folder, Path) else folder
    trainable = tune.with_parameters(_train, task=task, jobs=by_key, folder=place)
    with tempfile.TemporaryDirectory() as notes:  # Tune's own, which nobody needs afterwards
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
            if isinstance(error.__context__, EnvironmentFailure):  # of what was called from it
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
    """Return what Tune asks, in this process, whether a trial ends with a result."""

    def stop(trial_id: str, result: dict[str, Any]) -> bool:
        key = result["config"]["key"]
        if REPORT not in result or not ends(key, result[REPORT]):
            return False
        on_final(jobs[key], stopped(result[REPORT]))
        return True

    return stop


class _Listener(tune.Callback):  # type: ignore[misc]  # Ray is not typed
    """Hands what trials report to whoever asked for the finals."""

    def __init__(self, jobs: dict[str, FinalJob], on_report: OnReport, on_final: OnFinal) -> None:
        self.jobs, self.on_report, self.on_final = jobs, on_report, on_final

    def __getstate__(self) -> dict[str, Any]:
        """Stay behind when Tune writes its own state: who listens is of this process alone."""
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
    """Refuse at once what Tune would wait for without a word."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(n.get("CPU", 0) >= cpus and n.get("GPU", 0) >= gpus for n in nodes):
        raise ResourceError(
            f"no node of the cluster has {cpus:g} CPUs + {gpus:g} GPUs for a full training"
        )
