import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gtn_nas.results import store as store_module
from gtn_nas.results.layout import part_files
from gtn_nas.results.parts import to_table, write_part
from gtn_nas.results.store import RunStore

from .samples import final, record, trial, write_run

ROOT = Path(__file__).resolve().parents[2]


def rows_on_disk(folder: Path, table: str) -> int:
    return sum(pq.read_metadata(path).num_rows for path in part_files(folder, table))


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process, which says on its stdout how far it is."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


WRITER = """
import sys
from pathlib import Path
from gtn_nas.results.store import RunStore
from tests.results.samples import record, trial
store = RunStore.create(Path(sys.argv[1]), "seed: 0", clock=lambda: 0.0)
for i in range(10**6):
    store.append_asks([trial(i)])
    store.append_candidates([record(i)])
    if i % 5 == 4:
        store.flush()
        print(i, flush=True)
"""


def test_a_killed_writer_loses_nothing_that_it_had_flushed(tmp_path):
    folder = tmp_path / "run"
    with python(WRITER, folder) as writer:
        assert writer.stdout is not None
        flushed = -1
        while flushed < 40:
            flushed = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        flushed = max([flushed, *map(int, writer.stdout.read().split())])
    with RunStore.open(folder) as store:
        read = store.load_candidates()
        assert read == [record(i) for i in range(len(read))]
        assert len(read) > flushed
        asked = [event.trial() for event in store.load_events()]
        assert asked == [trial(i) for i in range(len(asked))]
        assert len(asked) >= len(read)
        store.append_candidates([record(len(read))])
    assert rows_on_disk(folder, "candidates") == len(read) + 1


SMALL_DISK = """
import resource, sys
from pathlib import Path
from gtn_nas.errors import EnvironmentFailure
from gtn_nas.results.store import RunStore
from tests.results.samples import record
store = RunStore.create(Path(sys.argv[1]), "seed: 0")
store.append_candidates([record(0)])
store.flush()
before = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (4, before[1]))
store.append_candidates([record(1)])
try:
    store.flush()
except EnvironmentFailure as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, before)
store.append_candidates([record(2)])
store.close()
"""


def test_a_disk_that_is_full_for_a_while_costs_no_rows(tmp_path):
    with python(SMALL_DISK, tmp_path / "run") as writer:
        said, _ = writer.communicate()
    assert said.startswith("cannot write ")
    assert "File too large" in said
    with RunStore.open(tmp_path / "run") as store:
        assert store.load_candidates() == [record(0), record(1), record(2)]


def test_damaged_parts_are_named_and_the_others_are_read(tmp_path):
    folder = write_run(tmp_path / "run", [record(0)], [record(1)], [record(2)])
    torn = part_files(folder, "candidates")[1]
    torn.write_bytes(torn.read_bytes()[:300])
    with RunStore.open(folder) as store:
        with pytest.warns(UserWarning, match=torn.name):
            assert store.load_candidates() == [record(0), record(2)]
        with pytest.warns(UserWarning, match=torn.name):
            store.compact()
        assert torn.exists()
        assert len(part_files(folder, "candidates")) == 2


# compaction


def test_compact_leaves_one_part_of_every_table_and_the_same_rows(tmp_path):
    with RunStore.create(tmp_path / "run", "") as store:
        for i in range(5):
            store.append_asks([trial(i)])
            store.append_candidates([record(i, extra={"synflow": 1.0} if i % 2 else {})])
            store.append_final(final(i))
            store.flush()
        before = store.load_candidates(), store.load_events(), store.load_finals()
        store.compact()
        assert (store.load_candidates(), store.load_events(), store.load_finals()) == before
        assert [len(part_files(store.folder, t)) for t in ("candidates", "events", "finals")] == [
            1
        ] * 3
        store.append_candidates([record(5)])
        store.compact()
        assert len(store.load_candidates()) == 6


def test_rows_left_twice_by_a_crash_during_compaction_are_read_once(tmp_path):
    folder = write_run(tmp_path / "run", [record(0)], [record(1)])
    with RunStore.open(folder) as store:
        store.append_asks([trial(0), trial(1)])
        store.append_asks([trial(2)])
        shutil.copytree(folder, tmp_path / "before")
        store.compact()
        for table in ("candidates", "events"):  # as if the old parts had not been removed yet
            for path in part_files(tmp_path / "before", table):
                shutil.copy(path, folder / table)
        assert rows_on_disk(folder, "candidates") == 4
        assert store.load_candidates() == [record(0), record(1)]
        assert [e.trial() for e in store.load_events()] == [trial(0), trial(1), trial(2)]
        store.compact()
        assert rows_on_disk(folder, "candidates") == 2


def test_a_long_run_merges_its_small_parts_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "MERGE_PARTS", 4)
    with RunStore.create(tmp_path / "run", "") as store:
        for i in range(11):
            store.append_asks([trial(i)])
        assert [e.trial() for e in store.load_events()] == [trial(i) for i in range(11)]
    assert len(part_files(tmp_path / "run", "events")) == 2 + 3


def test_an_equal_candidate_counts_once_the_first_told(tmp_path):
    folder = write_run(tmp_path / "run", [record(0)])
    again = to_table([record(0, tell_index=4, proxy_accuracy=0.0)], "run")
    write_part(folder / "candidates" / "part-copy.parquet", again)
    with RunStore.open(folder) as store:
        assert store.load_candidates() == [record(0)]
