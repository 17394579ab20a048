"""The live page in Chromium."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from gtn_nas.results.store import RunStore

from ..browser import WIDTHS, chromium, opened, overflow_px
from ..results.samples import final, record
from .serving import serving

pytestmark = pytest.mark.browser

TOKEN = "a-token-that-nobody-guesses"  # noqa: S105 - opens nothing


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def test_a_record_appears_while_the_page_is_open_and_the_reader_keeps_their_place(
    browser, runs, folder
):
    with serving(runs) as url, opened(browser, f"{url}runs/first/") as page:
        page.get_by_label("Filter").fill("status=ok")
        page.get_by_role("button", name="params").click()
        page.get_by_role("button", name="params").click()
        page.locator(".ranked tbody button.key").first.click()
        page.get_by_text("on the fronts as a table").click()
        page.evaluate("window.scrollTo(0, 300)")
        expect(page.locator(".ranked .facts")).to_have_count(1)
        with RunStore.open(folder / "first") as store:
            store.append_candidates([record(3, params=500)])
            store.append_final(final(3, validation_accuracy=0.5, test_accuracy=0.4321))
        expect(page.locator("#summary")).to_contain_text("43.21 %")
        keys = page.locator(".ranked tbody button.key")
        expect(keys).to_have_text([record(i).key for i in (2, 1, 0, 3)])
        expect(page.locator(".ranked th[aria-sort=descending]")).to_have_text("params")
        expect(page.get_by_label("Filter")).to_have_value("status=ok")
        expect(page.locator(".ranked .facts")).to_have_count(1)
        expect(page.locator("#fronts details")).to_have_attribute("open", "")
        expect(page.locator("#fronts")).to_contain_text(record(3).key)
        assert page.evaluate("window.scrollY") == 300
        expect(page.locator("#connection")).to_have_text("live")


def test_a_reader_is_told_when_the_server_is_gone(browser, runs):
    with serving(runs) as url:
        page = browser.new_page()
        page.goto(f"{url}runs/first/")
    expect(page.locator("#connection")).to_contain_text("no answer", timeout=10_000)
    page.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_from_the_list_to_a_run_and_back(browser, runs, width):
    with serving(runs) as url, opened(browser, url, width=width) as page:
        assert overflow_px(page) == 0
        page.get_by_role("link", name="first").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("first")
        assert overflow_px(page) == 0
        page.get_by_role("link", name="All runs").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Runs")


def test_signing_in(browser, runs):
    with serving(runs, TOKEN) as url:
        page = browser.new_page(viewport={"width": 400, "height": 800})
        page.goto(f"{url}runs/first/")
        page.get_by_label("Token").fill("something else entirely")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_have_text("That is not the token.")
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("link", name="first").click()
        expect(page.locator(".ranked tbody tr")).to_have_count(3)
        assert TOKEN not in page.url
        page.close()
