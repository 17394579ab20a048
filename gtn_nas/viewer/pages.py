"""The pages other than the report: the list of runs, and the sign-in form."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment
from starlette.responses import HTMLResponse

from gtn_nas.report.page import environment

TEMPLATE = Path(__file__).parent / "template"


def index_page(place: str, runs: list[dict[str, Any]]) -> HTMLResponse:
    """Return the list of runs.

    Args:
        place: the folder or URI of the runs, as shown.
        runs: an overview of each run; see ``RunCatalogue.overview``.
    """
    template = _environment().get_template("index.html")
    html = template.render(place=place, runs=runs)
    return HTMLResponse(html.encode("utf-8", "replace"))


def sign_in_page(problem: str, status: int) -> HTMLResponse:
    """Return the form that asks for the token.

    Args:
        problem: what was wrong with the last attempt; empty if nothing was.
        status: HTTP status of the answer.
    """
    template = _environment().get_template("sign_in.html")
    return HTMLResponse(template.render(problem=problem), status)


@cache
def _environment() -> Environment:
    env = environment(TEMPLATE)
    env.filters["quoted"] = lambda name: quote(name, safe="")
    return env
