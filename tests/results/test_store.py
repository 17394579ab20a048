import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gtn_nas.errors import EnvironmentFailure, RunFolderError
from gtn_nas.results.layout import part_files
from gtn_nas.results.store import FLUSH_ROWS, FLUSH_S, RunStore
from gtn_nas.trial import SCHEMA_VERSION, Status

from .samples import final, latency, record, trial, write_run

ROOT = Path(__file__).resolve().parents[2]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def rows_on_disk(folder: Path, table: str) -> int:
    return sum(pq.read_metadata(path).num_rows for path in part_files(folder, table))


# create and open


def test_a_new_run_holds_its_configuration_and_no_rows(tmp_path):
    with RunStore.create(tmp_path / "runs" / "a", "seed: 3\n") as store:
        assert store.run == "a"
        assert store.config_yaml == "seed: 3\n"
        assert store.load_candidates() == store.load_events() == store.load_finals() == []
        store.save_config("seed: 4\n")
    with RunStore.open(tmp_path / "runs" / "a") as store:
        assert store.config_yaml == "seed: 4\n"


def test_everything_that_was_added_is_there_when_the_run_is_opened_again(tmp_path):
    with RunStore.create(tmp_path / "run", "seed: 0\n") as store:
        store.append_asks([trial(0), trial(1)])
        store.append_candidates([record(1, tell_index=0)])
        store.append_event(
            "reuse", key=record(1).key, ask_index=5, tell_index=1, details={"why": "asked again"}
        )
        store.append_candidates([record(0, tell_index=2, status=Status.OOM, error="too large")])
        store.append_final(final(0))
    with RunStore.open(tmp_path / "run") as store:
        assert store.load_candidates() == [
            record(1, tell_index=0),
            record(0, tell_index=2, status=Status.OOM, error="too large"),
        ]
        first, second, reuse = store.load_events()
        assert [first.trial(), second.trial()] == [trial(0), trial(1)]
        assert (reuse.kind, reuse.key, reuse.ask_index) == ("reuse", record(1).key, 5)
        assert json.loads(reuse.details) == {"why": "asked again"}
        assert store.load_finals() == [final(0)]


def test_rows_without_a_run_get_its_name(tmp_path):
    with RunStore.create(tmp_path / "mine", "") as store:
        store.append_asks([trial(0)])
        store.append_candidates([record(0, run="")])
        store.append_event("stop")
        store.flush()
        assert {row.run for row in store.load_events() + store.load_candidates()} == {"mine"}


def test_create_refuses_a_run(tmp_path):
    write_run(tmp_path / "run", [record(0)])
    with pytest.raises(RunFolderError, match=r"run holds a run already; continue .* --resume"):
        RunStore.create(tmp_path / "run", "seed: 1\n")
    with RunStore.open(tmp_path / "run") as store:  # and left it as it was
        assert store.config_yaml == "seed: 0\n"
        assert store.load_candidates() == [record(0)]


def test_create_refuses_a_folder_with_other_things_and_leaves_it_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(RunFolderError, match=r"neither empty nor a run \(it holds thesis\.tex\)"):
        RunStore.create(tmp_path, "")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_create_refuses_a_file(tmp_path):
    (tmp_path / "run").write_text("x")
    with pytest.raises(RunFolderError, match="run is not a folder"):
        RunStore.create(tmp_path / "run", "")


def test_create_in_a_place_that_cannot_be_says_why(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(EnvironmentFailure, match=r"cannot create .*run: Not a directory"):
        RunStore.create(tmp_path / "file" / "run", "")


def test_create_takes_over_a_start_that_did_not_get_far(tmp_path):
    for name in ("candidates", "finals", "events", "weights"):
        (tmp_path / name).mkdir()
    (tmp_path / ".lock").touch()
    (tmp_path / ".config.yaml.tmp").write_text("see")
    with RunStore.create(tmp_path, "seed: 0\n") as store:
        assert store.config_yaml == "seed: 0\n"


@pytest.mark.parametrize("make", [lambda f: None, Path.mkdir, Path.touch])
def test_open_refuses_what_is_no_run(tmp_path, make):
    make(tmp_path / "run")
    with pytest.raises(RunFolderError, match="run is not a run"):
        RunStore.open(tmp_path / "run")


def test_open_refuses_a_run_of_a_newer_version(tmp_path):
    write_run(tmp_path / "run", [record(0, schema_version=SCHEMA_VERSION + 1)])
    with pytest.raises(RunFolderError, match="install a newer one"):
        RunStore.open(tmp_path / "run")


def test_open_removes_unfinished_files(tmp_path):
    folder = write_run(tmp_path / "run", [record(0)])
    unfinished = [folder / ".config.yaml.tmp", folder / "candidates" / ".part-1-ab.parquet.tmp"]
    for path in unfinished:
        path.write_bytes(b"PAR1 and no more")
    with RunStore.open(folder) as store:
        assert store.load_candidates() == [record(0)]
    assert not any(path.exists() for path in unfinished)


# one writer


def test_a_second_writer_is_refused_until_the_first_is_done(tmp_path):
    first = RunStore.create(tmp_path / "run", "")
    with pytest.raises(RunFolderError, match=r"another process writes .*run"):
        RunStore.open(tmp_path / "run")
    first.close()
    RunStore.open(tmp_path / "run").close()


OWNER = """
import sys
from pathlib import Path
from gtn_nas.results.store import RunStore
store = RunStore.open(Path(sys.argv[1]))
print("owned", flush=True)
sys.stdin.read()
"""


def test_a_writer_in_another_process_keeps_others_out_until_it_dies(tmp_path):
    folder = write_run(tmp_path / "run")
    command = [sys.executable, "-c", OWNER, folder]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "owned\n"
        with pytest.raises(RunFolderError, match="another process writes"):
            RunStore.open(folder)
        owner.kill()
        owner.wait()
    RunStore.open(folder).close()


def test_a_closed_store_takes_no_more_rows(tmp_path):
    store = RunStore.create(tmp_path / "run", "")
    store.close()
    store.close()
    with pytest.raises(RunFolderError, match="is closed"):
        store.append_candidates([record(0)])


# when rows reach the disk


def test_candidates_wait_for_a_second_to_pass(tmp_path):
    clock = Clock()
    with RunStore.create(tmp_path / "run", "", clock=clock) as store:
        store.append_candidates([record(0)])
        clock.now = 0.99 * FLUSH_S
        store.append_candidates([record(1)])
        assert rows_on_disk(store.folder, "candidates") == 0
        clock.now = FLUSH_S
        store.append_candidates([])
        assert rows_on_disk(store.folder, "candidates") == 2
        store.append_candidates([record(2)])
        assert rows_on_disk(store.folder, "candidates") == 2


def test_candidates_wait_until_they_are_many(tmp_path):
    with RunStore.create(tmp_path / "run", "", clock=Clock()) as store:
        store.append_candidates(record(i) for i in range(FLUSH_ROWS - 1))
        assert rows_on_disk(store.folder, "candidates") == 0
        store.append_candidates([record(FLUSH_ROWS)])
        assert rows_on_disk(store.folder, "candidates") == FLUSH_ROWS


def test_asks_and_finals_do_not_wait_and_take_earlier_rows_along(tmp_path):
    with RunStore.create(tmp_path / "run", "", clock=Clock()) as store:
        store.append_event("start")
        store.append_candidates([record(1)])
        assert rows_on_disk(store.folder, "events") == 0
        store.append_asks([trial(0)])
        store.append_final(final(0))
        assert [event.kind for event in store.load_events()] == ["start", "ask"]
        assert store.load_candidates() == [record(1)]  # what the ask followed from
        assert rows_on_disk(store.folder, "finals") == 1


def test_rows_are_kept_when_the_run_ends_with_an_error(tmp_path):
    def fail():
        with RunStore.create(tmp_path / "run", "") as store:
            store.append_candidates([record(0)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert rows_on_disk(tmp_path / "run", "candidates") == 1


def test_latencies_do_not_wait_and_are_read_back_once_each(tmp_path):
    failed = latency(1, None, runs=None, status=Status.FAILED, error="too small an image")
    with RunStore.create(tmp_path / "run", "", clock=Clock()) as store:
        assert store.load_latencies() == []
        assert not (store.folder / "latencies").exists()
        for measured in (latency(0, 2.5), failed, latency(0, 9.0)):
            store.append_latency(measured)
        assert rows_on_disk(store.folder, "latencies") == 3
        assert store.load_latencies() == [latency(0, 2.5), failed]
        store.compact()
        assert len(part_files(store.folder, "latencies")) == 1
    with RunStore.open(tmp_path / "run") as store:
        assert store.load_latencies() == [latency(0, 2.5), failed]


def test_parts_sort_in_the_order_in_which_they_were_written(tmp_path):
    folder = write_run(tmp_path / "run", *([record(i)] for i in range(12)))
    with RunStore.open(folder) as store:
        store.append_candidates([record(12)])
    told = [pq.read_table(p)["tell_index"].to_pylist() for p in part_files(folder, "candidates")]
    assert told == [[i] for i in range(13)]
