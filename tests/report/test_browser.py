"""The page as a reader meets it, from a file, in Chromium."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from gtn_nas import load_run
from gtn_nas.report.page import write_report
from gtn_nas.report.pictures import Pictures
from gtn_nas.results.store import RunStore
from gtn_nas.trial import Status

from ..browser import WIDTHS, chromium, opened, overflow_px
from ..results.samples import record, write_run
from .runs import EVIL

pytestmark = pytest.mark.browser

SECTIONS = (
    *("summary", "candidates", "progress", "agreement", "fronts", "architectures"),
    *("lesson", "curves", "confusion", "timeline", "failures", "reproduction"),
)

COLOURS = "(s => [s.color, s.backgroundColor])(getComputedStyle(document.body))"
"""Of text and page."""

UNNAMED = """
[...document.querySelectorAll("input, select, [role=region], svg[role=img], th, img")]
  .filter(e => !(e.getAttribute("aria-label") || e.alt || e.textContent.trim()
    || (e.labels && e.labels.length)))
  .map(e => e.outerHTML.slice(0, 80))
"""
"""What a screen reader could not name."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def url_of(folder: Path) -> str:
    out = folder.parent / f"{folder.name}.html"
    write_report(load_run(folder), out, Pictures())
    return out.as_uri()


def cells(page: Page, place: int) -> list[str]:
    """Texts of a column of the table; the first is 1."""
    return page.locator(f".ranked tbody tr > :nth-child({place})").all_inner_texts()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_page_is_whole_and_fits(browser, finished, width, scheme):
    with opened(browser, url_of(finished), width=width, scheme=scheme) as page:
        for section in SECTIONS:
            assert page.locator(f"#{section} > .body > *").count() > 0
        expect(page.locator(".ranked tbody tr")).to_have_count(8)
        expect(page.locator(".nothing")).to_have_text(["Nothing failed."])
        assert page.locator("figure svg[role=img]").count() >= 10
        assert overflow_px(page) == 0
        colours = page.evaluate(COLOURS)
        brightness = [sum(map(int, c[4:-1].split(","))) for c in colours]
        assert (brightness[0] < brightness[1]) == (scheme == "light")


def test_a_heading_sorts_and_says_so(browser, finished):
    with opened(browser, url_of(finished)) as page:
        names = page.locator(".ranked thead th").all_inner_texts()
        place = 1 + [name.split()[0] for name in names].index("params")
        heading = page.locator(f".ranked thead th:nth-child({place})")
        sizes = [int(text.replace(",", "")) for text in cells(page, place)]
        heading.locator("button").click()
        expect(heading).to_have_attribute("aria-sort", "ascending")
        assert [int(text.replace(",", "")) for text in cells(page, place)] == sorted(sizes)
        heading.locator("button").press("Enter")
        expect(heading).to_have_attribute("aria-sort", "descending")
        assert [int(text.replace(",", "")) for text in cells(page, place)] == sorted(sizes)[::-1]
        expect(page.locator(".ranked th[aria-sort=ascending]")).to_have_count(0)


def test_a_filter_takes_words_and_conditions(browser, tmp_path):
    failed = {"status": Status.FAILED, "error": "out of memory", "proxy_accuracy": None}
    records = [record(0), record(1), record(2, **failed)]
    folder = write_run(tmp_path / "run", records)
    with opened(browser, url_of(folder)) as page:
        keys = {
            "MEMORY": [2],
            "status=failed": [2],
            "width=1": [1],
            "params<=2000 ok": [0, 1],
            "proxy_accuracy>60%": [0],
            records[1].key: [1],
            "nothing-like-it": [],
        }
        for words, expected in keys.items():
            page.get_by_label("Filter").fill(words)
            assert cells(page, 2) == [records[i].key for i in expected]
        expect(page.locator(".pages [role=status]")).to_have_text("0 candidates (3 in all)")


def test_many_candidates_come_page_by_page(browser, tmp_path):
    folder = write_run(tmp_path / "run", [record(i) for i in range(60)])
    with opened(browser, url_of(folder)) as page:
        assert len(cells(page, 1)) == 25
        page.get_by_role("button", name="Next").click()
        assert cells(page, 1)[0] == "26"
        page.get_by_label("Rows on a page").select_option("100")
        assert len(cells(page, 1)) == 60
        expect(page.get_by_role("button", name="Next")).to_be_disabled()


def test_a_key_opens_all_that_is_known(browser, finished):
    with opened(browser, url_of(finished)) as page:
        key = page.locator(".ranked tbody button.key").first
        key.click()
        expect(key).to_have_attribute("aria-expanded", "true")
        expect(key).to_be_focused()
        facts = page.locator(".ranked .facts dt").all_inner_texts()
        assert {"seed", "norm", "worker", "depth"} <= set(facts)
        key.press("Enter")
        expect(page.locator(".ranked .facts")).to_have_count(0)


def test_columns_can_be_chosen(browser, finished):
    with opened(browser, url_of(finished)) as page:
        page.locator(".columns summary").click()
        page.get_by_label("depth", exact=True).check()
        page.get_by_label("flops", exact=True).uncheck()
        names = page.locator(".ranked thead th").all_inner_texts()
        assert any(name.startswith("depth") for name in names)
        assert not any(name.startswith("flops") for name in names)


@pytest.mark.parametrize("width", WIDTHS)
def test_hostile_text_is_shown_as_text(browser, hostile, width):
    with opened(browser, url_of(hostile), width=width) as page:
        for summary in page.locator("summary").all():
            summary.click()
        for key in page.locator(".ranked tbody button.key").all():
            key.click()
        assert page.title().startswith("hostile ")
        assert page.locator("img").count() == 0
        for section in ("candidates", "confusion", "timeline", "failures", "reproduction"):
            expect(page.locator(f"#{section} > .body")).to_contain_text(EVIL)
        expect(page.locator("#headline")).to_contain_text(EVIL)
        assert overflow_px(page) == 0


def test_a_run_that_has_just_begun_says_what_is_missing(browser, tmp_path):
    with RunStore.create(tmp_path / "run", "seed: 0\n"):
        url = url_of(tmp_path / "run")
    with opened(browser, url, width=400) as page:
        for section in set(SECTIONS) - {"summary", "reproduction"}:
            expect(page.locator(f"#{section} .nothing")).to_have_count(1)
        assert overflow_px(page) == 0


def test_headings_labels_and_regions_have_names(browser, finished):
    with opened(browser, url_of(finished)) as page:
        assert page.evaluate(UNNAMED) == []
        assert page.locator("th:not([scope])").count() == 0
        levels = page.locator("h1, h2, h3").evaluate_all("all => all.map(h => +h.tagName[1])")
        assert levels[0] == 1
        assert all(b - a <= 1 for a, b in pairwise(levels))
