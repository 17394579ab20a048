"""``gtn-nas job``: submit commands to a Ray cluster, and watch, list and stop them."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gtn_nas.cli import pretrain, search, validate_proxy
from gtn_nas.cli.options import ConfiguredCommand, settings
from gtn_nas.cli.output import printable

if TYPE_CHECKING:
    from gtn_nas.jobs.packing import Command
    from gtn_nas.jobs.server import Job, JobServer

app = typer.Typer(
    help="Submit commands to a Ray cluster; watch and stop them.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

COMMANDS: dict[str, Callable[..., None]] = {
    "search": search.search,
    "pretrain": pretrain.pretrain,
    "validate-proxy": validate_proxy.validate_proxy,
}
"""The commands that have a configuration, and so can be submitted as jobs, in the order of help."""

Address = Annotated[
    str | None,
    typer.Option(
        help="The cluster's dashboard; by default what RAY_API_SERVER_ADDRESS says, else "
        "http://127.0.0.1:8265."
    ),
]
JobName = Annotated[str, typer.Argument(help="The job's name, as `submit` and `list` print it.")]


# Options after the submitted command's name belong to that command, even without `--` before it.
@app.command("submit", context_settings={"allow_interspersed_args": False})
def submit(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="COMMAND...", help="search, pretrain or validate-proxy, and its options."
        ),
    ],
    address: Address = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Show what it prints, and end as it ends.")
    ] = False,
) -> None:
    """Run a command on a cluster: gtn-nas job submit -- search --out s3://bucket/run ..."""
    command = parsed(words)

    from gtn_nas.jobs.packing import pack

    with tempfile.TemporaryDirectory() as folder:
        entry = pack(command, Path(folder))
        server = _server(address)
        name = server.submit(entry, Path(folder), shlex.join(words))
    typer.echo(name)
    commands = {"follow it": "logs --follow", "see its state": "status", "stop it": "stop"}
    for what, how in commands.items():
        typer.echo(f"{what}: {_command(how, name, address)}", err=True)
    if wait:
        _follow(server, name, address)


@app.command("list")
def list_jobs(address: Address = None) -> None:
    """List the cluster's jobs, the latest first."""
    from rich.table import Table
    from rich.text import Text

    from gtn_nas.cli.output import table_console

    jobs = _server(address).jobs()
    if not jobs:
        typer.echo("no jobs yet")
        return
    table = Table("job", "state", "submitted (UTC)", "took", "command", box=None, pad_edge=False)
    for job in jobs:
        started = f"{job.started:%Y-%m-%d %H:%M:%S}" if job.started else "-"
        table.add_row(*map(Text, [job.id, _state(job), started, _took(job), job.command]))
    table_console().print(table)


@app.command("status")
def status(name: JobName, address: Address = None) -> None:
    """Tell the state of a job."""
    job = _server(address).job(name)
    typer.echo(f"{job.id}: {_state(job)} after {_took(job)}: {job.command}")
    if job.status == "FAILED" and job.message:
        typer.echo(printable(job.message.strip().splitlines()[-1]))


@app.command("logs")
def logs(
    name: JobName,
    address: Address = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")
    ] = False,
) -> None:
    """Print what a job has printed; with --follow, end as it ends."""
    server = _server(address)
    if follow:
        _follow(server, name, address)
    else:
        _show(server.logs(name))


@app.command("stop")
def stop(name: JobName, address: Address = None) -> None:
    """Ask a job to end; what it has recorded is kept."""
    if _server(address).stop(name):
        typer.echo(f"{name} was asked to end; submit it again with --resume to go on")
    else:
        typer.echo(f"{name} had ended already")


def parsed(words: Sequence[str]) -> Command:
    """Parse the command line of a command to submit, with that command's own parser.

    Args:
        words: the command's name and its options.

    Raises:
        TyperException: the command is unknown, or an option is wrong.
        ConfigError: the command's configuration file cannot be read, or its executor is unknown.
    """
    commands = typer.Typer(add_completion=False)
    for name, function in COMMANDS.items():
        commands.command(name, cls=ConfiguredCommand)(function)
    group: Any = typer.main.get_command(commands)
    context = typer.Context(group, info_name="gtn-nas")
    name, found, options = group.resolve_command(context, list(words))
    asked = found.make_context(name, options, parent=context)

    from gtn_nas.jobs.packing import Command
    from gtn_nas.searching.backends import require_known

    given = settings(asked, asked.params["config"])
    if "executor" in given:
        require_known(str(given["executor"]))
    flags = tuple(f"--{n.replace('_', '-')}" for n, v in asked.params.items() if v is True)
    return Command(name, found.kind, given, flags)


def _server(address: str | None) -> JobServer:
    from gtn_nas.jobs.server import JobServer

    return JobServer(address)


def _follow(server: JobServer, name: str, address: str | None) -> None:
    """Show a job's log until the job has ended, and exit with its exit code if it failed."""
    try:
        job = server.follow(name, _show)
    except KeyboardInterrupt:
        typer.echo(f"the job goes on; stop it with {_command('stop', name, address)}", err=True)
        raise
    typer.echo(f"{name}: {_state(job)} after {_took(job)}", err=True)
    if job.status != "SUCCEEDED":
        raise typer.Exit(job.exit_code or 1)


def _show(text: str) -> None:
    typer.echo(text, nl=False)


def _command(how: str, name: str, address: str | None) -> str:
    at = [] if address is None else ["--address", address]
    return shlex.join(["gtn-nas", "job", *how.split(), *at, name])


def _state(job: Job) -> str:
    return job.status + (f" with exit code {job.exit_code}" if job.exit_code else "")


def _took(job: Job) -> str:
    if job.started is None:
        return "-"
    return f"{((job.ended or datetime.now(UTC)) - job.started).total_seconds():.0f} s"
