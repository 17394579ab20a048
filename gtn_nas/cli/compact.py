"""``gtn-nas compact``: merge the part files of runs."""

from __future__ import annotations

import typer

from gtn_nas.cli.output import warnings_on_stderr
from gtn_nas.cli.query import RunNames


def compact(runs: RunNames) -> None:
    """Merge the part files of runs that nobody writes, so that they are read faster.

    A search does this itself when it ends. It can be interrupted at any moment without loss.
    """
    from gtn_nas.results.layout import TABLES, part_files
    from gtn_nas.results.locate import find_runs
    from gtn_nas.results.store import RunStore

    with warnings_on_stderr():
        for folder in find_runs(runs):
            before = sum(len(part_files(folder, table)) for table in TABLES)
            with RunStore.open(folder) as store:
                store.compact()
            after = sum(len(part_files(folder, table)) for table in TABLES)
            typer.echo(f"{folder}: {before} part files are now {after}")
