"""Commands on runs in a bucket, as a person meets them."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from gtn_nas.results import lease
from gtn_nas.results.query import load_run
from gtn_nas.storage.bucket import BucketPath

from ..user_spaces import write_space
from .test_search import COMMAND

SMALL = ["--candidates", 5, "--top-k", 1, "--final-epochs", 1]


@pytest.fixture
def search(tiny_teacher):
    """A search that takes a second."""
    return ["search", "--executor", "inline", "--teacher", tiny_teacher, *SMALL]


def process(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ)


def test_a_search_keeps_everything_in_the_bucket_and_is_resumed_there(run_main, search, bucket):
    out = f"{bucket}/runs/a"
    code, said, err = run_main(*search, "--out", out)
    assert code == 0, err
    run = load_run(out)
    best = run.top(1)[0]["key"]
    assert f"run folder: {out}   (gtn-nas query {out} --top 10)" in said
    assert f"weights of the winner: {out}/weights/{best}.safetensors" in said
    assert run.config["out"] == out
    stored = BucketPath.of(out).names(everything=True)
    kinds = {re.split("/part-|/events.out", name)[0] for name in stored}
    weights = f"weights/{best}.safetensors"
    curves = {"tensorboard/candidates", f"tensorboard/{best}"}
    assert kinds == {"config.yaml", "candidates", "events", "finals", weights, *curves}
    assert list(Path.cwd().iterdir()) == []

    code, _, err = run_main(*search, "--out", out)
    assert (code, f"{out} holds a run already; continue it with --resume" in err) == (2, True)
    code, said, err = run_main("search", "--resume", "--out", out, "--candidates", 7)
    assert code == 0, err
    assert len(load_run(out).query()) == 7

    code, said, err = run_main("query", out, "--format", "csv", "--columns", "key")
    assert (code, err) == (0, "")
    assert len(said.splitlines()) == 1 + 7


@pytest.mark.parametrize(
    ("out", "code", "said"),
    [
        ("nowhere://bucket/run", 2, "nowhere://bucket/run is no place for files: Unrecognized"),
        ("s3://me:hush@bucket/run", 2, "a s3:// URI must not carry credentials; set them in the"),
        ("s3://bucket/run?secret_key=hush", 2, "must not carry credentials"),
        ("s3://nobodys-bucket/run", 2, "there is no bucket 'nobodys-bucket'"),
        ("s3://bucket/run?endpoint_override=127.0.0.1:9&scheme=http", 1, "cannot reach s3://bu"),
    ],
)
@pytest.mark.parametrize("command", ["search", "resume", "validate-proxy", "query"])
def test_a_place_that_is_none_is_told_in_a_line(run_main, search, gate, command, out, code, said):
    if command == "query":
        arguments = ["query", out]
    elif command == "resume":
        arguments = ["search", "--resume", "--out", out]
    else:
        arguments = [command, *search[1 : -2 * 3], "--out", out]
    missing = said.startswith("there is no bucket") and command in ("query", "resume")
    ended, shown, err = run_main(*arguments)
    assert (ended, shown) == (code, "")
    assert err.startswith("error: ")
    assert ("is not a run" in err or "there is no run folder" in err) if missing else said in err
    assert err.count("\n") == 1
    assert "hush" not in err
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.slow
def test_a_long_outage_is_told_in_a_line_and_the_run_can_be_continued(
    run_main, search, bucket, gate, monkeypatch
):
    monkeypatch.setattr(lease, "OUTAGE_S", 1.0)
    monkeypatch.setattr(lease, "LIFETIME_S", 2.0)
    monkeypatch.setattr(lease, "RENEW_S", 0.5)
    space = write_space(Path.cwd(), "long_outage", "relu", "kill")
    module = Path("long_outage.py")
    module.write_text(module.read_text().replace("SIGKILL", "SIGUSR1"))
    before = signal.signal(signal.SIGUSR1, lambda number, frame: gate.shut())
    out = f"{bucket}/runs/a"
    code, said, err = run_main(*search, "--space", space, "--candidates", 16, "--out", out)
    signal.signal(signal.SIGUSR1, before)
    assert (code, said) == (1, "")
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert re.match(f"error: cannot (list|write) {out}/", line)
    assert f"what was evaluated is kept; go on with: gtn-nas search --resume --out {out}" in err
    assert "Traceback" not in err

    gate.open()
    code, said, err = run_main("search", "--resume", "--out", out, "--space", space)
    assert code == 0, err
    assert len(load_run(out).query()) == 16


@pytest.mark.slow  # the lease of the dead lives on for half a minute
def test_a_search_that_is_killed_goes_on_in_the_bucket(tmp_path, search, bucket):
    space, out = write_space(tmp_path, "killed", "relu", "kill"), f"{bucket}/runs/a"
    size = ["--space", space, "--candidates", 16, "--out", out]
    ended = process(tmp_path, *search, *size)
    assert ended.returncode == -9, ended.stderr
    before = load_run(out).query(columns=["key", "created_at"])
    assert len(before) < 16
    assert (BucketPath.of(out) / ".lock").is_file()

    again = process(tmp_path, "search", "--resume", "--out", out, "--space", space)
    assert again.returncode == 0, again.stderr
    assert "waiting up to" in again.stderr
    after = load_run(out).query(columns=["key", "created_at"])
    assert len({row["key"] for row in after}) == len(after) == 16
    assert all(row in after for row in before)

    shown = process(tmp_path, "query", out, "--format", "csv", "--columns", "key,status")
    assert shown.returncode == 0, shown.stderr
    assert sorted(shown.stdout.splitlines()[1:]) == sorted(f"{row['key']},ok" for row in after)


@pytest.mark.slow
def test_a_second_search_is_refused_while_the_first_runs(tmp_path, search, bucket):
    space, out = write_space(tmp_path, "stopped", "relu", "kill"), f"{bucket}/runs/a"
    module = tmp_path / "stopped.py"
    module.write_text(module.read_text().replace("os.kill(", "print(input(), "))
    command = [*COMMAND, *search, "--space", space, "--candidates", 16, "--out", out]
    with subprocess.Popen(
        list(map(str, command)), cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as first:
        while not (tmp_path / "sent").exists():  # it waits in the middle of a candidate
            assert first.poll() is None
            os.sched_yield()
        second = process(tmp_path, "search", "--resume", "--out", out, "--space", space)
        assert second.returncode == 2
        assert f"error: another process writes {out}; wait until it is done" in second.stderr
        first.communicate(b"go on\n")
    assert first.returncode == 0
    assert len(load_run(out).query()) == 16
