"""A run in a bucket keeps the promises of one on a disk, and outlives an outage of its store."""

import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gtn_nas.errors import ConfigError, RunFolderError, StoreError
from gtn_nas.results import store as store_module
from gtn_nas.results.layout import part_files
from gtn_nas.results.store import FLUSH_S, RunStore
from gtn_nas.storage.bucket import OUTAGE_S, BucketPath
from gtn_nas.trial import SCHEMA_VERSION

from ..gate import Time
from .samples import final, latency, record, trial, write_run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def folder(bucket, time):
    return BucketPath.of(f"{bucket}/runs/a", clock=time.clock, pause=time.pause)


def rows_stored(folder, table):
    parts = (pa.BufferReader(path.read_bytes()) for path in part_files(folder, table))
    return sum(pq.read_metadata(part).num_rows for part in parts)


def test_everything_that_was_added_is_there_when_the_run_is_opened_again(folder):
    with RunStore.create(folder, "seed: 3\n") as store:
        assert (store.run, store.config_yaml) == ("a", "seed: 3\n")
        store.append_asks([trial(0), trial(1)])
        store.append_candidates([record(0), record(1)])
        store.append_final(final(0))
        store.append_latency(latency(1))
        assert store.save_weights("abc", b"weights") == Path("weights/abc.safetensors")
        store.save_config("seed: 4\n")
    with RunStore.open(folder) as store:
        assert store.config_yaml == "seed: 4\n"
        assert store.load_candidates() == [record(0), record(1)]
        assert [event.trial() for event in store.load_events()] == [trial(0), trial(1)]
        assert store.load_finals() == [final(0)]
        assert store.load_latencies() == [latency(1)]
    assert (folder / "weights" / "abc.safetensors").read_bytes() == b"weights"


def test_create_refuses_a_run_and_other_things_and_leaves_them_alone(folder):
    write_run(folder, [record(0)])
    with pytest.raises(RunFolderError, match=r"a holds a run already; continue it with --resume"):
        RunStore.create(folder, "")
    with pytest.raises(RunFolderError, match=r"neither empty nor a run \(it holds a/"):
        RunStore.create(folder.parent, "")
    (folder.parent / "b").write_bytes(b"")
    with pytest.raises(RunFolderError, match="b is not a folder"):
        RunStore.create(folder.parent / "b", "")
    with RunStore.open(folder) as store:
        assert store.load_candidates() == [record(0)]


def test_create_takes_over_a_start_that_did_not_get_far(folder):
    (folder / ".lock-0123.tmp").write_bytes(b"")
    RunStore.create(folder, "").close()


def test_open_refuses_what_is_no_run_or_a_newer_one(folder):
    with pytest.raises(RunFolderError, match="a is not a run; there is nothing to resume"):
        RunStore.open(folder)
    write_run(folder, [record(0, schema_version=SCHEMA_VERSION + 1)])
    with pytest.raises(RunFolderError, match="install a newer one"):
        RunStore.open(folder)
    assert ".lock" not in folder.names()


def test_a_bucket_that_is_missing_is_named(gate):
    with pytest.raises(ConfigError, match="there is no bucket 'nobodys'"):
        RunStore.create(BucketPath.of("s3://nobodys/run"), "")


def test_damaged_and_foreign_parts_are_named_and_the_others_are_read(folder):
    write_run(folder, [record(0)], [record(1)])
    _, torn = part_files(folder, "candidates")
    torn.write_bytes(torn.read_bytes()[:300])
    (folder / "candidates" / "part-foreign.parquet").write_bytes(b"PAR1 or not")
    with (
        RunStore.open(folder) as store,
        pytest.warns(UserWarning, match=f"skipped {torn}: it is damaged"),
        pytest.warns(UserWarning, match=r"part-foreign\.parquet: it is damaged"),
    ):
        assert store.load_candidates() == [record(0)]


def test_small_parts_are_merged_and_the_old_ones_go(folder, monkeypatch):
    monkeypatch.setattr(store_module, "MERGE_PARTS", 4)
    with RunStore.create(folder, "") as store:
        for i in range(11):
            store.append_asks([trial(i)])
        assert [e.trial() for e in store.load_events()] == [trial(i) for i in range(11)]
        assert len(part_files(folder, "events")) == 2 + 3
        store.compact()
        assert [e.trial() for e in store.load_events()] == [trial(i) for i in range(11)]
    assert len(part_files(folder, "events")) == 1


# outages


def test_what_is_added_during_an_outage_is_stored_once(folder, time, gate):
    with RunStore.create(folder, "", clock=time.clock) as store:
        store.append_candidates([record(0)])
        gate.shut()
        time.meanwhile = [lambda: None, gate.open]
        time.now += FLUSH_S
        store.append_candidates([record(1)])  # now both are to be stored
        assert time.meanwhile == []
        assert rows_stored(folder, "candidates") == 2
        gate.shut()
        time.meanwhile = [lambda: None, gate.open]
        store.append_asks([trial(2)])
        store.append_candidates([record(2)])
    with RunStore.open(folder) as store:
        assert store.load_candidates() == [record(0), record(1), record(2)]
        assert [e.trial() for e in store.load_events()] == [trial(2)]
    assert rows_stored(folder, "candidates") == 3


def test_a_merge_that_an_outage_meets_loses_and_doubles_nothing(folder, time, gate, monkeypatch):
    with RunStore.create(folder, "") as store:
        for i in range(4):
            store.append_asks([trial(i)])
        monkeypatch.setattr(store_module, "MERGE_PARTS", 4)
        gate.shut(refusals=7)  # they meet listing, reading, writing and removing
        store.compact()
        assert time.pauses
        assert [e.trial() for e in store.load_events()] == [trial(i) for i in range(4)]
    assert rows_stored(folder, "events") == 4


@pytest.mark.slow
def test_a_long_outage_ends_the_run_at_once_and_it_can_be_continued(folder, time, gate):
    def run():
        with RunStore.create(folder, "", clock=time.clock) as store:
            folder.bucket.waits_s = 10
            store.append_asks([trial(0)])
            store.append_candidates([record(0)])
            gate.shut()
            store.append_asks([trial(1)])

    with pytest.raises(StoreError, match=r"cannot list s3://.*/runs/a/candidates: ") as caught:
        run()
    assert "\n" not in str(caught.value)
    assert 10 <= time.now < 30  # it was not waited for once more at the end
    gate.open()
    with RunStore.open(folder) as store:
        assert [e.trial() for e in store.load_events()] == [trial(0)]
        assert store.load_candidates() == []  # so the resume asks for it again
    assert OUTAGE_S == 300


def test_ctrl_c_during_an_outage_ends_the_run_at_once(folder, time, gate):
    def interrupt():
        raise KeyboardInterrupt

    def run():
        with RunStore.create(folder, "", clock=time.clock) as store:
            gate.shut()
            time.meanwhile = [interrupt]
            store.append_asks([trial(0)])

    with pytest.raises(KeyboardInterrupt):
        run()
    assert time.meanwhile == []
    assert time.pauses[1:] == [0.5]


# one writer, also when it is killed

WRITER = """
import sys
from gtn_nas.storage.files import place_of
from gtn_nas.results.store import RunStore
from tests.results.samples import record, trial
store = RunStore.create(place_of(sys.argv[1]), "seed: 0", clock=lambda: 0.0)
for i in range(10**6):
    store.append_asks([trial(i)])
    store.append_candidates([record(i)])
    if i % 5 == 4:
        store.flush()
        print(i, flush=True)
"""


@pytest.mark.slow
def test_a_killed_writer_loses_nothing_that_it_had_flushed(folder, time):
    command = [sys.executable, "-c", WRITER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as writer:
        assert writer.stdout is not None
        flushed = -1
        while flushed < 10:
            flushed = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        flushed = max([flushed, *map(int, writer.stdout.read().split())])
    with RunStore.open(folder) as store:
        assert 0 < time.now < 32  # until the lease was no more
        read = store.load_candidates()
        assert read == [record(i) for i in range(len(read))]
        assert len(read) > flushed
        asked = [event.trial() for event in store.load_events()]
        assert asked == [trial(i) for i in range(len(asked))]
        assert len(asked) >= len(read)
        store.append_candidates([record(len(read))])
    assert rows_stored(folder, "candidates") == len(read) + 1
