"""The Jobs server of a Ray cluster: takes commands, and tells what became of them."""

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
"""Environment variable that names the server, here as for Ray's own commands."""

DEFAULT = "http://127.0.0.1:8265"

REACH_S = 5.0
"""How long a server may take to accept a connection, and then to answer it."""

STOP_S = 30
"""Seconds that a stopped job has to end in order; Ray's default of 3 is short for a search."""

POLL_S = 1.0
"""Seconds between two looks at a job whose log has ended."""

TALKATIVE = (
    "ray.dashboard.modules.job.sdk",
    "ray.dashboard.modules.dashboard_sdk",
    "ray._private.runtime_env.packaging",
)
"""Loggers of Ray that tell of every step of a submission."""

KNOWN = 10
"""Jobs that the message about an unknown one chooses from."""

ENDED = ("SUCCEEDED", "FAILED", "STOPPED")


@dataclass(frozen=True)
class Job:
    """What is known of a job.

    Attributes:
        id: Ray's name of it.
        status: ``PENDING``, ``RUNNING``, ``SUCCEEDED``, ``FAILED`` or ``STOPPED``.
        command: what it runs.
        started: when it was submitted.
        ended: when it ended, if it has.
        exit_code: of the command, if that ended by itself.
        message: what Ray says of its status; of a failed one, with the end of its log.
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
        """Whether it will never change again."""
        return self.status in ENDED


class JobServer:
    """One cluster's Jobs server, known to answer.

    Args:
        address: ``http://HOST:PORT`` of the cluster's dashboard; by default what
            ``RAY_API_SERVER_ADDRESS`` says, else this machine's.

    Raises:
        ConfigError: the address has another form.
        ClusterError: nothing answers there, or it wants a token that is not here.
    """

    def __init__(self, address: str | None = None) -> None:
        self.address = _checked(address or os.environ.get(VARIABLE) or DEFAULT)
        offer_token()
        _require_dashboard(self.address)
        # Ray lets the environment win over its argument.
        os.environ[VARIABLE] = self.address
        from ray.job_submission import JobSubmissionClient

        for name in TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)
        with self._asked():
            self._client: JobSubmissionClient = JobSubmissionClient(self.address)

    def submit(self, entry: Sequence[str], folder: Path, command: str) -> str:
        """Start a job, and return its name.

        Args:
            entry: the command line.
            folder: what the job takes along, and is run in.
            command: what stands in lists of jobs.
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
            UnknownNameError: there is none of that name.
        """
        with self._asked(name):
            return _job(self._client.get_job_info(name))

    def logs(self, name: str) -> str:
        """Return all that a job has printed.

        Raises:
            UnknownNameError: there is no job of that name.
        """
        with self._asked(name):
            return str(self._client.get_job_logs(name))

    def follow(self, name: str, show: Callable[[str], None]) -> Job:
        """Hand over what a job prints, until it has ended; return what became of it.

        Args:
            name: the job.
            show: called with each piece of text.

        Raises:
            UnknownNameError: there is no job of that name.
            ClusterError: the cluster stopped answering; the job may go on.
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
        """Show a log from a character on; return how far it got, and whether that was the end."""
        import aiohttp

        log = self._client.tail_job_logs(name)
        place = 0
        while True:
            try:
                text = await anext(log)
            except StopAsyncIteration:
                return max(place, start), True
            except (aiohttp.ClientError, OSError, RuntimeError):
                # Whether the cluster is gone or only the connection, the next question tells.
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
        """Tell in a line what went wrong with a question about a job or the cluster."""
        from ray.exceptions import AuthenticationError

        try:
            yield
        except AuthenticationError as error:
            raise ClusterError(_refusal(self.address, str(error))) from error
        except (OSError, RuntimeError) as error:  # those of `requests` are of the first kind
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
    """Return the address without its end; Ray would import what stands before another ``://``."""
    text = address if "://" in address else f"http://{address}"
    if not re.fullmatch(r"https?://[^\s/@?#]+/?", text):
        raise ConfigError(
            f"address {address!r} is not of the form http://HOST:PORT (the dashboard's, often 8265)"
        )
    return text.rstrip("/")


def _require_dashboard(address: str) -> None:
    """Fail fast where nothing answers; Ray's client would wait for minutes."""
    try:
        # Its form was checked: http or https.
        with urllib.request.urlopen(f"{address}/api/version", timeout=REACH_S) as answer:  # noqa: S310
            text = answer.read(10_000)
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):  # a token is asked for, and Ray's client will send it
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
