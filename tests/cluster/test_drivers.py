"""Searches whose own process, disk or cluster ends before they do, and that are resumed."""

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gtn_nas.results.layout import part_files

from .conftest import Nodes, Search

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
