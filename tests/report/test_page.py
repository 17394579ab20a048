import re
from pathlib import Path

import pytest

from gtn_nas import load_run
from gtn_nas.errors import EnvironmentFailure
from gtn_nas.report.page import policy, report_data, to_html, write_report
from gtn_nas.report.pictures import Pictures
from gtn_nas.results.store import RunStore

from ..results.samples import record
from .runs import EVIL, column, data_of, snapshot_of


def html_of(folder: Path) -> str:
    return to_html(report_data(snapshot_of(folder), Pictures()))


def test_a_page_needs_nothing_else(finished):
    html = html_of(finished)
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)""", html)
    assert "@import" not in html
    assert not re.findall(r"url\(", html)
    assert f'content="{policy()}"'.replace("'", "&#39;") in html


def test_what_a_run_holds_stays_text(hostile):
    html = html_of(hostile)
    assert EVIL not in html
    assert "<img" not in html
    data = data_of(hostile)
    assert data["failures"][0]["error"] in (EVIL, f"{EVIL} again")
    assert EVIL in column(data, EVIL)
    assert data["confusion"]["classes"] == [EVIL, "plain"]


def test_a_run_that_was_only_started_has_a_page(tmp_path):
    with RunStore.create(tmp_path / "run", "seed: 0\n"):
        data = data_of(tmp_path / "run")
    assert data["table"]["count"] == 0
    assert data["summary"]["winner"] is None
    assert (data["failures"], data["confusion"], data["curves"]) == ([], None, [])


def test_a_page_shows_what_is_there_while_a_run_is_written(tmp_path):
    with RunStore.create(tmp_path / "run", "seed: 0\n") as store:
        for count in (1, 2):
            store.append_candidates([record(count)])
            store.flush()
            assert data_of(tmp_path / "run")["table"]["count"] == count


def test_the_file_appears_whole_and_again(finished, tmp_path):
    out = tmp_path / "deep" / "report.html"
    for _ in range(2):
        size = write_report(load_run(finished), out, Pictures())
        assert out.stat().st_size == size
    assert [path.name for path in out.parent.iterdir()] == ["report.html"]


def test_a_place_that_cannot_be_written_is_named(finished, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentFailure, match="cannot write"):
        write_report(load_run(finished), tmp_path / "file" / "report.html", Pictures())


def test_a_run_in_a_bucket_is_reported_into_it(bucket):
    from gtn_nas.storage.files import place_of

    with RunStore.create(place_of(f"{bucket}/runs/far"), "seed: 0\n") as store:
        store.append_candidates([record(0)])
    run = load_run(f"{bucket}/runs/far")
    write_report(run, run.folder / "report.html", Pictures())
    written = (run.folder / "report.html").read_text("utf-8")
    assert record(0).key in written
