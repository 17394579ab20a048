"""Chromium for tests of pages, and what they ask of every page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]

WIDTHS = (400, 1400)
"""Pixels of a telephone and of a screen."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser of this machine, or that of ``playwright install chromium``.

    The environment variable CHROMIUM names another.
    """
    with sync_playwright() as playwright:
        found = [os.environ.get("CHROMIUM"), *map(shutil.which, NAMES)]
        if Path(playwright.chromium.executable_path).is_file():
            found.append(playwright.chromium.executable_path)
        path = next(filter(None, found), None)
        if path is None:
            pytest.skip("no Chromium here; install it, or run `playwright install chromium`")
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Browser, url: str, *, width: int = 1400, scheme: str = "light"
) -> Iterator[Page]:
    """Open a page, and check at the end that nothing was complained about or asked of others."""
    complaints: list[str] = []
    asked: list[str] = []
    context = browser.new_context(
        viewport={"width": width, "height": 1000},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(url)
    yield page
    context.close()
    assert complaints == []
    here = url.split("/")[2]  # none for a file
    assert [u for u in asked if not u.startswith("data:") and u.split("/")[2] != here] == []


def overflow_px(page: Page) -> int:
    """How much wider the page is than its window."""
    return int(
        page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    )
