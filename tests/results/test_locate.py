import os
from pathlib import Path

import pytest

from gtn_nas.errors import ConfigError, RunFolderError
from gtn_nas.results.locate import find_runs
from gtn_nas.storage.bucket import BucketPath

from .samples import record, write_run


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Two runs, and beside them what is none."""
    monkeypatch.chdir(tmp_path)
    write_run(Path("runs/b"), [record(0)])
    write_run(Path("runs/a"), [record(0)])
    Path("runs/notes").mkdir()
    Path("runs/notes.txt").touch()
    return Path("runs")


def names(*patterns: object) -> list[str]:
    return [str(run) for run in find_runs(map(str, patterns))]


def test_patterns_stand_for_the_runs_among_what_they_match(runs):
    assert names("runs/*") == ["runs/a", "runs/b"]
    assert names("*/[b]") == ["runs/b"]
    assert names("runs/b", "runs/a") == ["runs/b", "runs/a"]


def test_each_run_is_found_once(runs):
    os.symlink("a", runs / "link")
    assert names("runs/b", "runs/*", runs.absolute() / "a") == ["runs/b", "runs/a"]


def test_a_name_that_looks_like_a_pattern_is_a_name_where_there_is_such(runs):
    write_run(runs / "[b]", [record(0)])
    assert names("runs/[b]") == ["runs/[b]"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("runs/x*", r"no run matches 'runs/x\*'"),
        ("runs/*.txt", r"no run matches"),
        ("runs/notes", "runs/notes is not a run: it lacks config.yaml"),
        ("runs/notes.txt", "is not a run"),
        ("runs/c", "there is no run folder runs/c"),
        ("", "is not a run"),
    ],
)
def test_what_is_no_run_is_refused(runs, name, why):
    with pytest.raises(RunFolderError, match=why):
        find_runs(["runs/a", name])


def test_in_a_bucket_the_last_part_can_be_a_pattern(bucket):
    for name in ("a1", "a2", "b"):
        write_run(BucketPath.of(f"{bucket}/runs/{name}"), [record(0)])
    (BucketPath.of(f"{bucket}/runs/a3") / "notes.txt").write_bytes(b"x")
    assert names(f"{bucket}/runs/a*") == [f"{bucket}/runs/a1", f"{bucket}/runs/a2"]
    assert names(f"{bucket}/runs/*/", f"{bucket}/runs/b") == [
        f"{bucket}/runs/{name}" for name in ("a1", "a2", "b")
    ]
    region = "?region=us-east-1"  # a question mark is no pattern there
    assert names(f"{bucket}/runs/b{region}") == [f"{bucket}/runs/b{region}"]
    assert names(f"{bucket}/runs/*2{region}") == [f"{bucket}/runs/a2{region}"]
    with pytest.raises(RunFolderError, match=r"no run matches 's3://.*/runs/c\*'"):
        find_runs([f"{bucket}/runs/c*"])
    with pytest.raises(RunFolderError, match="no run matches"):
        find_runs([f"{bucket}/nowhere/*"])
    with pytest.raises(ConfigError, match="only the last part of a URI can be a pattern"):
        find_runs([f"{bucket}/*/a1"])
    with pytest.raises(ConfigError, match="must not carry credentials"):
        find_runs(["s3://me:hush@bucket/runs/*"])
