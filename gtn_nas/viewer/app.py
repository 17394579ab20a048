"""The viewer's web application: a list of runs, and for each run a page and its newest data."""

from __future__ import annotations

import json
from contextlib import suppress

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from gtn_nas.errors import GtnNasError
from gtn_nas.report.page import to_html
from gtn_nas.viewer.access import Guard, Names
from gtn_nas.viewer.pages import index_page
from gtn_nas.viewer.runs import NoRunError, RunCatalogue

COMPRESSED_BYTES = 1000


def make_app(runs: RunCatalogue, host: str, port: int, token: str | None) -> ASGIApp:
    """Return the application.

    Args:
        runs: the runs to show.
        host: name or address that the server listens on.
        port: the server's port.
        token: the token that visitors need; ``None`` if they need none.
    """

    def index(request: Request) -> Response:
        found = []
        for name in runs.names():
            with suppress(NoRunError):  # removed meanwhile
                found.append(runs.overview(name))
        return index_page(str(runs.root), found)

    def page(request: Request) -> Response:
        _, data = runs.data(request.path_params["name"])
        return HTMLResponse(to_html(data, live="data.json").encode("utf-8", "replace"))

    def data(request: Request) -> Response:
        name = request.path_params["name"]
        if request.headers.get("if-none-match") == f'"{runs.stamp(name)}"':
            return Response(status_code=304)
        stamp, newest = runs.data(name)
        body = json.dumps(newest, allow_nan=False, separators=(",", ":"))
        return Response(body, media_type="application/json", headers={"ETag": f'"{stamp}"'})

    app = Starlette(
        routes=[
            Route("/", index),
            Route("/runs/{name}/", page),
            Route("/runs/{name}/data.json", data),
        ],
        middleware=[Middleware(GZipMiddleware, minimum_size=COMPRESSED_BYTES)],
        exception_handlers={GtnNasError: _explain, HTTPException: _refuse},
    )
    return Guard(app, Names(host), token, port)


def _explain(request: Request, error: Exception) -> Response:
    status = 404 if isinstance(error, NoRunError) else 503
    return PlainTextResponse(str(error), status)


def _refuse(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return PlainTextResponse("there is nothing here", status)
