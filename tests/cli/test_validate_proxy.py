"""``gtn-nas validate-proxy`` as a person meets it."""

import json
import shutil

import pytest

from gtn_nas.storage.files import place_of

from ..labelled_run import architectures
from ..validation.test_known_accuracies import write


@pytest.fixture
def small(tmp_path, tiny_teacher):
    """A validation against a truth that the number of parameters cannot tell."""
    rows = [(json.dumps(dict(a.choices)), 50 + i) for i, a in enumerate(architectures(14))]
    write(tmp_path / "truth.csv", rows)
    shutil.copy(tiny_teacher, tmp_path / "mine.safetensors")
    given = ["--teacher", "mine.safetensors", "--truth", "truth.csv", "--proxies", "gtn,nwot"]
    return ["validate-proxy", "--executor", "inline", "--architectures", 12, "--out", "run", *given]


def test_it_prints_every_score_with_intervals_and_where_they_are_kept(run_main, small):
    code, out, _ = run_main(*small)
    assert code == 0
    assert "12 architectures against accuracy of truth.csv" in out
    for score in ("proxy_loss", "proxy_accuracy", "gtn_drop", "nwot", "params", "depth"):
        assert f"\n{score} " in out
    assert "run/validation.parquet" in out


def test_search_tells_what_the_teacher_was_told(run_main, small):
    search = ["search", "--executor", "inline", "--teacher", "mine.safetensors", "--top-k", 0]
    _, out, _ = run_main(*search, "--candidates", 3, "--out", "before")
    assert "was not measured" in out
    code, out, _ = run_main(*small, "--into-teacher")
    assert code == 0
    assert "written into mine.safetensors" in out
    _, out, _ = run_main(*search, "--candidates", 3, "--out", "after")
    assert "this teacher ranked 12 held-out candidates of conv_chain at Spearman" in out
    _, out, _ = run_main("search", "--resume", "--out", "before", "--candidates", 4)
    assert "this teacher ranked" in out


def test_only_a_file_of_ones_own_is_written_into(run_main, small, tmp_path):
    shipped = [a if a != "mine.safetensors" else "digits-conv_chain" for a in small]
    code, _, err = run_main(*shipped, "--into-teacher")
    assert (code, "needs the file to write into" in err) == (2, True)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_it_goes_on_where_it_was(run_main, small):
    run_main(*small)
    code, _, err = run_main(*small)
    assert (code, "continue it with --resume" in err) == (2, True)
    code, out, _ = run_main("validate-proxy", "--resume", "--out", "run")
    assert (code, "12 architectures" in out) == (0, True)


@pytest.mark.slow
def test_table_and_figure_are_kept_in_a_bucket(run_main, small, bucket):
    out = f"{bucket}/runs/a"
    code, said, err = run_main(*small, "--out", out)
    assert code == 0, err
    assert f"{out}/validation.parquet" in said
    folder = place_of(out)
    assert (folder / "validation.parquet").read_bytes().startswith(b"PAR1")
    assert (folder / "validation.png").read_bytes().startswith(b"\x89PNG")
    code, said, err = run_main("validate-proxy", "--resume", "--out", out)
    assert (code, "12 architectures" in said) == (0, True), err
