"""Client of a Ray cluster's Jobs server: submits, lists, follows and stops jobs."""

from __future__ import annotations

import asyncio
import http.client
import logging
import os
import re
import shlex
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gtn_nas.errors import ClusterError, ConfigError, UnknownNameError, one_line
from gtn_nas.executors.cluster import offer_token

if TYPE_CHECKING:
    from ray.job_submission import JobDetails, JobSubmissionClient

VARIABLE = "RAY_API_SERVER_ADDRESS"
"""Environment variable with the server's address; Ray's own commands read it too."""

DEFAULT = "http://127.0.0.1:8265"

REACH_S = 5.0
"""Time limit for connecting to a server, and again for its answer."""

STOP_S = 30
"""Time that a stopped job has to clean up; Ray's default of 3 s is too short for a search."""

POLL_S = 1.0
"""Seconds between two checks of a job whose log has ended."""

TALKATIVE = (
    "ray.dashboard.modules.job.sdk",
    "ray.dashboard.modules.dashboard_sdk",
    "ray._private.runtime_env.packaging",
)
"""Loggers of Ray that report every step of a submission."""

KNOWN = 10
"""How many of the latest jobs an error about an unknown name considers."""

ENDED = ("SUCCEEDED", "FAILED", "STOPPED")


@dataclass(frozen=True)
class Job:
    """A job's state.

    Attributes:
        id: the job's name in Ray.
        status: ``PENDING``, ``RUNNING``, ``SUCCEEDED``, ``FAILED`` or ``STOPPED``.
        command: the command that it runs.
        started: when it was submitted, in UTC.
        ended: when it ended, in UTC; ``None`` if it has not.
        exit_code: exit code of the command; ``None`` if it did not end by itself.
        message: Ray's message about the status; for a failed job, it includes the end of the log.
    """

    id: str
    status: str
    command: str
    started: datetime | None
    ended: datetime | None
    exit_code: int | None
    message: str

    @property
    def has_ended(self) -> bool:
        """Whether the job has ended, so that its state will not change any more."""
        return self.status in ENDED


class JobServer:
    """One cluster's Jobs server; creating it checks that the server answers.

    Args:
        address: ``http://HOST:PORT`` of the cluster's dashboard; by default the value of
            ``RAY_API_SERVER_ADDRESS``, else this machine's dashboard.

    Raises:
        ConfigError: the address has another form.
        ClusterError: nothing answers there, or it asks for a token that is not set here.
    """

    def __init__(self, address: str | None = None) -> None:
        self.address = _checked(address or os.environ.get(VARIABLE) or DEFAULT)
        offer_token()
        _require_dashboard(self.address)
        # Ray prefers the environment variable to the argument below.
        os.environ[VARIABLE] = self.address
        from ray.job_submission import JobSubmissionClient

        for name in TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)
        with self._asked():
            self._client: JobSubmissionClient = JobSubmissionClient(self.address)

    def submit(self, entry: Sequence[str], folder: Path, command: str) -> str:
        """Submit a job, and return its name.

        Args:
            entry: the command line to run.
            folder: its files are sent with the job, which runs in a copy of it.
            command: the command as shown in lists of jobs.
        """
        runtime = {
            "working_dir": str(folder),
            "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_S)},
        }
        with self._asked():
            return str(
                self._client.submit_job(
                    entrypoint=shlex.join(entry),
                    runtime_env=runtime,
                    metadata={"command": command},
                )
            )

    def jobs(self) -> list[Job]:
        """Return all jobs that were submitted to the cluster, the latest first."""
        with self._asked():
            found = self._client.list_jobs()
        jobs = [_job(details) for details in found if details.submission_id]
        epoch = datetime.fromtimestamp(0, UTC)
        return sorted(jobs, key=lambda job: job.started or epoch, reverse=True)

    def job(self, name: str) -> Job:
        """Return one job.

        Raises:
            UnknownNameError: there is no job of that name.
        """
        with self._asked(name):
            return _job(self._client.get_job_info(name))

    def logs(self, name: str) -> str:
        """Return everything that a job has printed.

        Raises:
            UnknownNameError: there is no job of that name.
        """
        with self._asked(name):
            return str(self._client.get_job_logs(name))

    def follow(self, name: str, show: Callable[[str], None]) -> Job:
        """Pass on what a job prints until it has ended; return its final state.

        Args:
            name: the job's name.
            show: called with each piece of text.

        Raises:
            UnknownNameError: there is no job of that name.
            ClusterError: the cluster stopped answering; the job may still be running.
        """
        shown = 0
        while True:
            job = self.job(name)
            shown, whole = asyncio.run(self._show_from(name, shown, show))
            if whole:
                job = self.job(name)
            if job.has_ended:
                return job
            time.sleep(POLL_S)

    async def _show_from(
        self, name: str, start: int, show: Callable[[str], None]
    ) -> tuple[int, bool]:
        """Show a job's log from one of its characters on.

        Args:
            name: the job's name.
            start: number of characters that were shown already.
            show: called with each piece of text.

        Returns:
            The number of characters shown by now, and whether the log's end was reached.
        """
        import aiohttp

        log = self._client.tail_job_logs(name)
        place = 0
        while True:
            try:
                text = await anext(log)
            except StopAsyncIteration:
                return max(place, start), True
            except (aiohttp.ClientError, OSError, RuntimeError):
                # The caller's next request tells whether the whole cluster is gone.
                return max(place, start), False
            if place + len(text) > start:
                show(text[max(start - place, 0) :])
            place += len(text)

    def stop(self, name: str) -> bool:
        """Ask a job to end; return whether it was running.

        Raises:
            UnknownNameError: there is no job of that name.
        """
        with self._asked(name):
            return bool(self._client.stop_job(name))

    @contextmanager
    def _asked(self, name: str | None = None) -> Iterator[None]:
        """Turn an error of a request into an error of this package with a message of one line.

        Args:
            name: the job that the request is about, if any.

        Raises:
            UnknownNameError: there is no job of that name.
            ClusterError: the request failed for another reason.
        """
        from ray.exceptions import AuthenticationError

        try:
            yield
        except AuthenticationError as error:
            raise ClusterError(_refusal(self.address, str(error))) from error
        except (OSError, RuntimeError) as error:  # the errors of `requests` are OSErrors
            if name is not None and "status code 404" in str(error):
                known = [job.id for job in self.jobs()[:KNOWN]] or ["none"]
                raise UnknownNameError("job", name, known) from error
            raise ClusterError(f"the cluster at {self.address}: {one_line(error)}") from error


def _job(details: JobDetails) -> Job:
    exit_code = details.driver_exit_code
    return Job(
        id=str(details.submission_id),
        status=str(details.status.value),
        command=str((details.metadata or {}).get("command", details.entrypoint)),
        started=_moment(details.start_time),
        ended=_moment(details.end_time),
        exit_code=None if exit_code is None else int(exit_code),
        message=str(details.message or ""),
    )


def _moment(milliseconds: int | None) -> datetime | None:
    return None if not milliseconds else datetime.fromtimestamp(milliseconds / 1000, UTC)


def _checked(address: str) -> str:
    """Return the address with its scheme and without a final slash, after checking its form.

    Ray would import a module named after any other scheme than http and https.

    Raises:
        ConfigError: the address has another form.
    """
    text = address if "://" in address else f"http://{address}"
    if not re.fullmatch(r"https?://[^\s/@?#]+/?", text):
        raise ConfigError(
            f"address {address!r} is not of the form http://HOST:PORT (the dashboard's, often 8265)"
        )
    return text.rstrip("/")


def _require_dashboard(address: str) -> None:
    """Check that a Ray dashboard answers, since Ray's client would wait for minutes.

    Raises:
        ClusterError: nothing answers, or something else than a Ray dashboard does.
    """
    try:
        # `_checked` allows only http and https.
        with urllib.request.urlopen(f"{address}/api/version", timeout=REACH_S) as answer:  # noqa: S310
            text = answer.read(10_000)
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):  # it asks for a token, which Ray's client will send
            return
        text = b""
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise ClusterError(
            f"no Ray dashboard answers at {address}: {reason}; name it with --address or {VARIABLE}"
        ) from error
    except (http.client.HTTPException, ValueError, OverflowError):
        text = b""
    if b"ray_version" not in text:
        raise ClusterError(f"what answers at {address} is no Ray dashboard; its port is often 8265")


def _refusal(address: str, error: str) -> str:
    file = os.environ.get("RAY_AUTH_TOKEN_PATH")
    if file and not os.access(file, os.R_OK):
        return f"RAY_AUTH_TOKEN_PATH names {file!r}, which cannot be read"
    if "Forbidden" in error:
        return f"the cluster at {address} refuses the token that is set here: it has another"
    return (
        f"the cluster at {address} asks for a token: set RAY_AUTH_MODE=token, and "
        "RAY_AUTH_TOKEN_PATH to a file that holds it"
    )
