"""The command ``gtn-nas``; each of its commands imports what it needs only when it runs."""

from __future__ import annotations

import sys

import typer

from gtn_nas.cli import (
    compact,
    compare,
    export,
    job,
    listing,
    query,
    report,
    serve,
    status,
)
from gtn_nas.cli.options import ConfiguredCommand
from gtn_nas.cli.output import printable
from gtn_nas.cli.signals import INTERRUPTED, exit_code
from gtn_nas.errors import GtnNasError

app = typer.Typer(
    name="gtn-nas",
    help="Neural architecture search with a Generative Teaching Network as its proxy evaluator.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",  # "rich" would take the defaults in brackets for markup
)
for name, command in job.COMMANDS.items():
    app.command(name, cls=ConfiguredCommand)(command)
app.add_typer(job.app, name="job")
app.command("query")(query.query)
app.command("status")(status.status)
app.command("compare")(compare.compare)
app.command("compact")(compact.compact)
app.command("report")(report.report)
app.command("serve")(serve.serve)
app.command("export")(export.export)
app.command("spaces")(listing.spaces)
app.command("strategies")(listing.strategies)
app.command("datasets")(listing.datasets)
app.command("teachers")(listing.teachers)


def main() -> None:
    """Run the command line; print a failure in a line or two on stderr.

    Exit codes: 0 done; 2 bad input; 1 the environment or the run failed; 130 and 143 for signals.
    """
    try:
        code = app(standalone_mode=False)
    except GtnNasError as error:
        code = _fail(str(error), error.exit_code)
    except typer.TyperException as error:
        # The message is empty if the help was shown instead, as for a call without arguments.
        message = error.format_message()
        code = _fail(message, error.exit_code) if message else error.exit_code
    if code == INTERRUPTED:  # typer's exit code for a KeyboardInterrupt
        code, what = exit_code()
        _fail(what, code)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> int:
    lines = map(printable, f"error: {message}".split("\n"))  # names and errors may hold any text
    typer.echo("\n".join(lines), err=True)
    return code
