"""The page as one HTML file that contains its styles, scripts and data."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gtn_nas.report import figures
from gtn_nas.report.pictures import Pictures
from gtn_nas.report.snapshot import Snapshot, read
from gtn_nas.report.summary import reproduction, summary
from gtn_nas.results.query import Run
from gtn_nas.storage.files import Place, whole_file

NAME = "report.html"
"""File name of the report in its run folder."""

TEMPLATE = Path(__file__).parent / "template"
SCRIPTS = ("charts.js", "table.js", "sections.js", "page.js")


def write_report(run: Run, out: Place, pictures: Pictures) -> int:
    """Write the page of a run atomically; return its size in bytes.

    Raises:
        GtnNasError: the run cannot be read, or the file cannot be written.
    """
    html = to_html(report_data(read(run), pictures)).encode("utf-8", "replace")
    with whole_file(out) as file:
        file.write(html)
    return len(html)


def report_data(snapshot: Snapshot, pictures: Pictures) -> dict[str, Any]:
    """Return all data that the page shows, as JSON values."""
    return {
        "summary": summary(snapshot),
        "table": figures.table(snapshot),
        "agreement": figures.agreement(snapshot),
        "fronts": figures.fronts(snapshot),
        "architectures": pictures.architectures(snapshot),
        "lesson": pictures.lesson(snapshot),
        "curves": figures.curves(snapshot),
        "confusion": figures.confusion(snapshot),
        "timeline": figures.timeline(snapshot),
        "failures": figures.failures(snapshot),
        "reproduction": reproduction(snapshot),
    }


def to_html(data: dict[str, Any], live: str | None = None) -> str:
    """Return the page as HTML.

    Args:
        data: the result of ``report_data``.
        live: the URL from which the page fetches newer data; by default it fetches none.
    """
    return (
        environment(TEMPLATE)
        .get_template("report.html")
        .render(data=data, live=live, policy=None if live else policy())
    )


def policy(live: bool = False) -> str:
    """Return a Content-Security-Policy that allows only the page's own scripts and styles.

    Args:
        live: whether the page may fetch data from its own server.
    """
    styles = " ".join(f"'{_digest(name)}'" for name in ("style.css",))
    scripts = " ".join(f"'{_digest(name)}'" for name in SCRIPTS)
    rules = ["default-src 'none'", f"style-src {styles}", f"script-src {scripts}", "img-src data:"]
    rules += ["base-uri 'none'", "form-action 'self'" if live else "form-action 'none'"]
    if live:
        rules += ["connect-src 'self'", "frame-ancestors 'none'"]
    return "; ".join(rules)


def environment(folder: Path) -> Environment:
    """Return the Jinja environment for the templates in a folder.

    All values are escaped, except this package's own styles and scripts.
    """
    env = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.globals.update(asset=asset, scripts=SCRIPTS)
    # Jinja's JSON filter also escapes characters that could end a script element.
    env.policies["json.dumps_function"] = _dumps
    env.policies["json.dumps_kwargs"] = {}
    return env


def asset(name: str) -> Markup:
    """Return a style or script file of this package, not escaped."""
    return Markup(_text(name))  # noqa: S704 - our own file


def _dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


@cache
def _text(name: str) -> str:
    return (TEMPLATE / name).read_text(encoding="utf-8")


def _digest(name: str) -> str:
    digest = hashlib.sha256(_text(name).encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
