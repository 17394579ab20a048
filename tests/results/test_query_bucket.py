"""A run in a bucket is read as one on a disk is."""

import pytest

from gtn_nas.errors import ConfigError, QueryError, RunFolderError, StoreError
from gtn_nas.results.layout import part_files
from gtn_nas.results.query import load_run
from gtn_nas.results.store import RunStore
from gtn_nas.storage.bucket import BucketPath

from ..gate import Time
from .samples import final, latency, record, write_run


@pytest.fixture
def folder(bucket):
    """Three candidates in two parts, two of them measured, and a final."""
    time = Time()
    folder = BucketPath.of(f"{bucket}/runs/a", clock=time.clock, pause=time.pause)
    write_run(folder, [record(0), record(1)], [record(2)], config="seed: 5\n")
    with RunStore.open(folder) as store:
        store.append_final(final(0))
        store.append_latency(latency(0, 2.5))
        store.append_latency(latency(1, 1.5))
    return folder


def test_a_run_is_read_by_its_uri(folder):
    run = load_run(str(folder))
    assert run.config == {"seed": 5}
    assert [row["key"] for row in run.top(2)] == [record(0).key, record(1).key]
    rows = run.query(where="params > 1000", columns=["key", "latency_ms"])
    assert rows == [
        {"key": record(1).key, "latency_ms": 1.5},
        {"key": record(2).key, "latency_ms": None},
    ]
    assert run.sql("SELECT count(*) AS n FROM finals") == [{"n": 1}]
    assert list(run.candidates()["key"]) == [record(i).key for i in range(3)]
    assert run.architecture(record(2).key) == record(2).architecture


def test_every_call_sees_what_the_run_holds_by_then(folder):
    run = load_run(str(folder))
    assert len(run.query()) == 3
    with RunStore.open(folder) as store:
        store.append_candidates([record(3)])
        store.flush()
        assert len(run.query()) == 4
        store.compact()
    assert len(run.query()) == 4
    assert len(part_files(folder, "candidates")) == 1


def test_a_damaged_part_is_named_where_it_is_and_skipped(folder):
    torn = part_files(folder, "candidates")[1]
    torn.write_bytes(torn.read_bytes()[:300])
    with pytest.warns(UserWarning, match=f"skipped {torn}: it is damaged"):
        assert len(load_run(str(folder)).query()) == 2


@pytest.mark.parametrize("other", ["/etc/passwd", "{0}/config.yaml", "{0}/candidates/*.parquet"])
def test_a_query_reaches_nothing_but_the_tables(folder, other):
    run = load_run(str(folder))
    for select in ("SELECT * FROM read_text('{0}')", "SELECT * FROM '{0}'"):
        with pytest.raises(QueryError):
            run.sql(select.format(other.format(folder)))


def test_copies_go_with_the_run(folder):
    run = load_run(str(folder))
    (copy,) = run._copies[0].local({"finals": part_files(folder, "finals")})["finals"]
    assert copy.is_file()
    del run
    assert not copy.exists()


def test_what_cannot_be_read_is_said(folder, bucket, gate):
    with pytest.raises(RunFolderError, match=f"there is no run folder {bucket}/nowhere"):
        load_run(f"{bucket}/nowhere")
    with pytest.raises(RunFolderError, match="runs is not a run"):
        load_run(f"{bucket}/runs")
    with pytest.raises(RunFolderError, match="there is no run folder s3://nobodys/run"):
        load_run("s3://nobodys/run")
    with pytest.raises(ConfigError, match="must not carry credentials"):
        load_run("s3://me:hush@bucket/run")
    with pytest.raises(ConfigError, match=r"nowhere://bucket/run is no place for files: Unrecog"):
        load_run("nowhere://bucket/run")
    (folder / "config.yaml").unlink()
    with pytest.raises(RunFolderError, match=r"a is not a run: it lacks config\.yaml"):
        load_run(str(folder))
    gate.shut()
    with pytest.raises(StoreError, match=f"cannot reach {folder}: "):
        load_run(str(folder))
