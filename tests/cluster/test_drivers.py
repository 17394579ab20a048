"""Searches whose own process, disk or cluster ends before they do, and that are resumed."""

import itertools
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gtn_nas.results.layout import part_files
from gtn_nas.results.query import load_run

from .conftest import ROOT, Nodes, Search

KILLS = sorted(random.Random(0).sample(range(1, 40), 20))


def kill_after_and_resume(search: Search, k: int, **options: object) -> None:
    killed = search.start(die_after=k, **options)
    killed.communicate()
    assert killed.returncode == -9
    search.finish(**options)
    search.check()
    assert len(search.begun()) >= search.count


@pytest.mark.parametrize(
    "k", [pytest.param(k, marks=[] if k == KILLS[9] else pytest.mark.slow) for k in KILLS]
)
def test_a_driver_killed_after_any_record_goes_on(search: Search, k):
    kill_after_and_resume(Search(search.folder, 40), k)


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[Nodes]:
    """A cluster that outlives many drivers."""
    nodes = Nodes(2, {})
    yield nodes
    nodes.shut_down()


@pytest.mark.slow
@pytest.mark.parametrize("k", KILLS)
def test_a_driver_on_a_cluster_killed_after_any_record_goes_on(two_nodes: Nodes, tmp_path, k):
    search = Search(tmp_path, 40)
    kill_after_and_resume(search, k, address=two_nodes.address)


@pytest.mark.slow
def test_a_search_goes_on_when_the_head_is_another(start_nodes, search: Search):
    nodes = start_nodes(2)
    process = search.start(address=nodes.address, at={10: "meet"})
    assert process.stdout is not None
    for _ in range(6):
        process.stdout.readline()
    nodes.kill_head()  # the 10th evaluation waits for one that never comes
    _, errors = process.communicate()
    assert process.returncode == 1
    assert "the head of the Ray cluster has not answered for 30 s" in errors
    nodes.shut_down()
    search.finish(address=start_nodes(2).address)
    search.check()


def test_damaged_and_foreign_parts_are_named_and_their_trials_evaluated_again(search: Search):
    search.start(die_after=18).communicate()
    torn = part_files(search.run, "candidates")[1]
    torn.write_bytes(torn.read_bytes()[:-40])
    asks = part_files(search.run, "events")[2]
    asks.write_bytes(asks.read_bytes()[:200])
    foreign = search.run / "candidates" / "part-99999998-of-another.parquet"
    pq.write_table(pa.table({"key": ["someone's"], "loss": [0.0]}), foreign)
    text = search.run / "candidates" / "part-99999999-notes.parquet"
    text.write_text("not Parquet at all")
    process = search.start()
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    for path in (torn, asks, foreign, text):
        assert f"skipped {path}" in errors
    with pytest.warns(UserWarning, match="skipped"):
        search.check()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_ends_a_search_that_goes_on_when_there_is_room(search: Search, small_disk):
    search = Search(small_disk)
    search.start(die_after=9).communicate()
    free = small_disk / "of someone else"
    with pytest.raises(OSError, match="No space left"):
        free.write_bytes(bytes(2**20))
    full = search.start(log=str(small_disk.parent / "log"))
    _, errors = full.communicate()
    assert full.returncode == 1
    assert "error: cannot write" in errors
    assert "No space left on device" in errors
    free.unlink()
    search.finish()
    search.check()


MAIN = [sys.executable, "-c", "from gtn_nas.cli.main import main; main()"]


@pytest.mark.slow
def test_a_signal_ends_a_search_whose_cluster_answers_no_more(start_nodes, tmp_path, tiny_teacher):
    """Ray waits for ever for a head that is there and silent."""
    nodes = start_nodes(1)
    command = [*MAIN, "search", "--teacher", str(tiny_teacher), "--candidates", "5000"]
    command += ["--address", nodes.address, "--out", str(tmp_path / "run")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stderr is not None
        seen = list(itertools.takewhile(lambda line: "worker_joined" not in line, process.stderr))
        assert process.poll() is None, "".join(seen)[-3000:]
        with nodes.frozen_head():
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors[-3000:]
    assert f"go on with: gtn-nas search --resume --out {tmp_path / 'run'}" in errors
    assert errors.endswith("error: terminated\n")
    assert load_run(tmp_path / "run").config["candidates"] == 5000


KILLED_IN_FINALS = """
import os, signal, sys
from gtn_nas import SearchConfig, search
from gtn_nas.config.base import parse
from gtn_nas.config.yaml_file import read_yaml
from pathlib import Path

def kill(progress):
    if progress.stage == "finals" and progress.done == 6:
        os.kill(os.getpid(), signal.SIGKILL)

search(parse(SearchConfig, read_yaml(Path(sys.argv[1]))), on_progress=kill)
"""


@pytest.mark.slow
def test_a_full_training_goes_on_from_its_checkpoint_after_a_kill(tmp_path, tiny_teacher):
    settings = f"teacher: {tiny_teacher}\ncandidates: 4\ntop_k: 1\nfinal_epochs: 8\n"
    for name in ("run", "whole"):
        (tmp_path / f"{name}.yaml").write_text(f"{settings}out: {tmp_path / name}\n")
    killed = subprocess.run([sys.executable, "-c", KILLED_IN_FINALS, str(tmp_path / "run.yaml")])
    assert killed.returncode == -9
    saved = list((tmp_path / "run" / ".finals").glob("*/state.pt"))
    assert len(saved) == 1
    resumed = [*MAIN, "search", "--resume", "--out", str(tmp_path / "run")]
    again = subprocess.run(resumed, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    whole = [*MAIN, "search", "--config", str(tmp_path / "whole.yaml")]
    assert subprocess.run(whole, capture_output=True).returncode == 0
    query = "SELECT key, epochs, validation_loss, test_accuracy FROM finals ORDER BY key"
    assert load_run(tmp_path / "run").sql(query) == load_run(tmp_path / "whole").sql(query)
