import os

import pytest

from gtn_nas.errors import RunFolderError
from gtn_nas.report.pictures import Pictures
from gtn_nas.results.store import RunStore
from gtn_nas.viewer.runs import NoRunError, RunCatalogue

from ..results.samples import final, record, write_run


def test_only_runs_are_listed(runs):
    assert runs.names() == ["first"]


def test_an_overview_names_the_winner_by_validation(runs, folder):
    with RunStore.open(folder / "first") as store:
        store.append_final(final(0, validation_accuracy=0.7, test_accuracy=0.9))
        store.append_final(final(1, validation_accuracy=0.8, test_accuracy=0.6))
        store.append_event("start")
    found = runs.overview("first")
    assert (found["candidates"], found["winner"], found["test_accuracy"]) == (3, record(1).key, 0.6)
    assert (found["dataset"], found["ended"]) == ("digits", False)
    with RunStore.open(folder / "first") as store:
        store.append_event("end")
    assert runs.overview("first")["ended"]


def test_a_run_that_cannot_be_read_is_listed_with_the_reason(runs, folder):
    (folder / "first" / "config.yaml").write_text("{")
    assert "config.yaml" in runs.overview("first")["error"]


def test_data_are_made_again_only_when_something_was_written(runs, folder):
    stamp, before = runs.data("first")
    assert runs.data("first") == (stamp, before)
    assert runs.data("first")[1] is before
    with RunStore.open(folder / "first") as store:
        store.append_candidates([record(3)])
    assert runs.stamp("first") != stamp
    assert runs.data("first")[1]["table"]["count"] == 4


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../runs/first", "first/", "/etc", "first\\..", "a\0", "none", "\udcff"]
)
def test_a_name_that_is_no_runs_is_refused(runs, name):
    with pytest.raises(NoRunError):
        runs.data(name)
    with pytest.raises(NoRunError):
        runs.stamp(name)


def test_links_that_lead_out_are_not_followed(folder, tmp_path):
    outside = write_run(tmp_path / "outside", [record(0)])
    (folder / "linked").symlink_to(outside)
    for name, inside in (("config", "config.yaml"), ("table", "candidates")):
        write_run(folder / name, [record(0)])
        place = folder / name / inside
        place.rename(tmp_path / f"old-{name}")
        place.symlink_to(outside / inside)
    write_run(folder / "part", [record(0)])
    part = next((folder / "part" / "candidates").iterdir())
    part.unlink()
    part.symlink_to(next((outside / "candidates").iterdir()))
    runs = RunCatalogue(folder, Pictures())
    assert runs.names() == ["first"]
    for name in ("linked", "config", "table", "part"):
        with pytest.raises(NoRunError):
            runs.data(name)


def test_a_link_inside_the_folder_is_a_run(folder):
    (folder / "alias").symlink_to(folder / "first")
    assert RunCatalogue(folder, Pictures()).names() == ["alias", "first"]


def test_a_name_that_is_no_text_is_left_out(folder):
    write_run(folder / "plain", [record(0)])
    os.rename(os.fsencode(folder / "plain"), os.fsencode(folder) + b"/\xff")
    assert RunCatalogue(folder, Pictures()).names() == ["first"]


def test_a_folder_that_is_missing_or_a_run_itself_is_refused(folder):
    with pytest.raises(RunFolderError, match="no folder"):
        RunCatalogue(folder / "missing", Pictures())
    with pytest.raises(RunFolderError, match="is a run"):
        RunCatalogue(folder / "first", Pictures())


def test_runs_in_a_bucket_are_found_and_read(bucket):
    from gtn_nas.storage.files import place_of

    with RunStore.create(place_of(f"{bucket}/runs/far"), "seed: 0\n") as store:
        store.append_candidates([record(0)])
    runs = RunCatalogue(place_of(f"{bucket}/runs"), Pictures())
    assert runs.names() == ["far"]
    assert runs.overview("far")["candidates"] == 1
    assert runs.data("far")[1]["table"]["count"] == 1
