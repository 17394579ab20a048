"""``gtn-nas report``: write one HTML page about a run."""

from __future__ import annotations

from typing import Annotated

import typer


def report(
    run: Annotated[str, typer.Argument(help="Run folder, or a URI like s3://bucket/runs/x.")],
    out: Annotated[
        str | None, typer.Option(help="File or URI to write. [default: report.html in the run]")
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(help="The run's own search space, module:Class, if it may be executed."),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(help="The run's teacher, if it is no longer where the run found it."),
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Show it in a browser.")] = False,
) -> None:
    """Write one self-contained HTML page about a run, finished or not."""
    from pathlib import Path

    from gtn_nas.errors import ConfigError
    from gtn_nas.report.page import NAME, write_report
    from gtn_nas.report.pictures import Pictures
    from gtn_nas.results.query import load_run
    from gtn_nas.storage.files import place_of

    opened = load_run(run)
    place = opened.folder / NAME if out is None else place_of(out)
    if isinstance(place, Path) and place.is_dir():
        raise ConfigError(f"--out {out!r} is a folder; name a file in it, e.g. {NAME}")
    size = write_report(opened, place, Pictures(space, teacher))
    typer.echo(f"{place} ({size / 1e6:.1f} MB)")
    if open_it:
        import webbrowser

        if not isinstance(place, Path):
            raise ConfigError(f"--open shows files of this machine; {place} is in a bucket")
        webbrowser.open(place.resolve().as_uri())
