"""``gtn-nas serve``: show runs in a browser, also while they are written."""

from __future__ import annotations

from typing import Annotated

import typer


def serve(
    runs: Annotated[str, typer.Argument(help="Folder of runs, or a URI like s3://bucket/runs.")],
    host: Annotated[
        str, typer.Option(help="Address to listen on; any but this machine's own needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for any.")] = 8080,
    space: Annotated[
        str | None,
        typer.Option(help="A search space of your own, module:Class, that may be executed."),
    ] = None,
) -> None:
    """Show runs in a browser, live and read-only, until Ctrl-C.

    On any address but this machine's own, visitors need a token: that of the environment variable
    GTN_NAS_TOKEN, or one that is made up and printed.
    """
    from gtn_nas.report.pictures import Pictures
    from gtn_nas.storage.files import place_of
    from gtn_nas.viewer.access import is_loopback, token_for
    from gtn_nas.viewer.runs import RunCatalogue
    from gtn_nas.viewer.server import Viewer

    token, made_up = token_for(host)
    viewer = Viewer(RunCatalogue(place_of(runs), Pictures(space)), host, port, token)
    typer.echo(f"runs in {runs}: {viewer.url}   (Ctrl-C ends)")
    if made_up:
        typer.echo(f"token for signing in: {token}")
    if not is_loopback(host):
        typer.echo("what is sent is not encrypted; put it behind TLS on a network you do not trust")
    try:
        viewer.run()
    except KeyboardInterrupt:  # the normal way to end the server
        typer.echo("stopped")
