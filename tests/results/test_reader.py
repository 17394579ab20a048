"""Several runs are read as one."""

import warnings
from dataclasses import replace

import pyarrow as pa
import pytest

from gtn_nas.errors import QueryError, RunFolderError
from gtn_nas.results.layout import part_files
from gtn_nas.results.parts import to_table, write_part
from gtn_nas.results.query import load_run, load_runs
from gtn_nas.results.selection import Selection
from gtn_nas.results.store import RunStore
from gtn_nas.trial import SCHEMA_VERSION, Status

from .samples import final, latency, record, write_run


@pytest.fixture
def runs(tmp_path):
    """The runs ``a`` (with a proxy of its own) and ``b``; both evaluated candidate 2."""
    extra = [record(i, extra={"synflow": float(i)}) for i in range(3)]
    write_run(tmp_path / "a", extra[:2], extra[2:])
    write_run(tmp_path / "b", [record(2), record(3)], [record(4)])
    with RunStore.open(tmp_path / "b") as store:
        store.append_final(final(3))
    return load_runs(tmp_path / "a", tmp_path / "b")


def found(rows):
    return [(row["run"], row["params"] // 1000 - 1) for row in rows]


def test_all_rows_of_all_runs_come_in_one_order(runs):
    rows = runs.query()
    assert found(rows) == [("a", 0), ("a", 1), ("a", 2), ("b", 2), ("b", 3), ("b", 4)]
    assert [row["synflow"] for row in rows] == [0.0, 1.0, 2.0, None, None, None]
    assert found(runs.top(1)) == [("a", 0)]
    where = {"where": "params IN (3000, 4000)"}
    assert found(runs.query(**where, top=2)) == [("a", 2), ("b", 2)]
    assert found(runs.query(**where, sort="params DESC")) == [("b", 3), ("a", 2), ("b", 2)]
    assert found(runs.pareto("params", "synflow")) == [("a", 0), ("a", 1), ("a", 2)]
    assert found(runs.query(where="run = 'b'", top=9)) == [("b", 2), ("b", 3), ("b", 4)]


def test_few_rows_are_the_first_of_all_rows(runs):
    rows = runs.query(sort="params DESC")
    for top in range(len(rows) + 2):
        assert runs.query(top=top, sort="params DESC") == rows[:top]


def test_sql_and_frames_hold_all_runs(runs):
    counted = "SELECT run, count(*) AS n FROM candidates GROUP BY run ORDER BY run"
    assert runs.sql(counted) == [{"run": "a", "n": 3}, {"run": "b", "n": 3}]
    joined = "SELECT c.run FROM candidates c JOIN finals f USING (run, key)"
    assert runs.sql(joined) == [{"run": "b"}]
    assert list(runs.candidates()["run"]) == ["a"] * 3 + ["b"] * 3
    assert list(runs.finals()["run"]) == ["b"]
    assert "_row" not in runs.sql("SELECT * FROM candidates")[0]


def test_tables_are_arrow_where_asked_for(runs):
    table = runs.candidates(format="arrow")
    assert isinstance(table, pa.Table)
    assert table.schema.field("created_at").type == pa.timestamp("us", tz="UTC")
    assert table["created_at"][0].as_py() == record(0).created_at
    assert table["params"].to_pylist() == list(runs.candidates()["params"])
    assert runs.finals("arrow")["key"].to_pylist() == [record(3).key]
    few = {"top": 2, "columns": ["run", "key"]}
    assert runs.selected_table(Selection(**few)).to_pylist() == runs.query(**few)
    with pytest.raises(QueryError, match="pandas or arrow, and not 'polars'"):
        runs.candidates("polars")


def test_duplicates_and_budgets_count_within_a_run(runs, tmp_path):
    again = [record(2, proxy_accuracy=0.0, tell_index=9), replace(record(3), budget=64)]
    write_part(tmp_path / "b" / "candidates" / "part-9.parquet", to_table(again, "b"))
    rows = runs.query(columns=["run", "params", "budget"])
    assert sorted(found(rows)) == [("a", 0), ("a", 1), ("a", 2), ("b", 2), ("b", 3), ("b", 4)]
    assert [row["budget"] for row in rows if found([row]) == [("b", 3)]] == [64]
    assert runs.sql("SELECT count(*) AS n FROM candidates") == [{"n": 7}]


def test_a_wrong_query_changes_nothing_for_the_next(runs, tmp_path):
    more = [replace(record(i), budget=64) for i in (0, 1)]
    write_part(tmp_path / "a" / "candidates" / "part-00.parquet", to_table(more, "a"))
    assert len(runs.query()) == 6
    with pytest.raises(QueryError):
        runs.sql("SELECT error('x') FROM candidates")
    runs._tables.drop_damaged()  # as after an error that a damaged part could have caused
    assert len(runs.query()) == 6


def test_latencies_of_one_run_are_those_of_its_rows(runs, tmp_path):
    with RunStore.open(tmp_path / "b") as store:
        store.append_latency(latency(2, 7.5))
    rows = runs.query(where="params = 3000", columns=["run", "latency_ms"], top=5)
    assert rows == [{"run": "a", "latency_ms": None}, {"run": "b", "latency_ms": 7.5}]
    assert load_run(tmp_path / "b").query(top=1, columns=["latency_ms"]) == [{"latency_ms": 7.5}]


def test_runs_that_are_called_alike_are_told_apart(tmp_path):
    folders = [write_run(tmp_path / name / "run", [record(0)]) for name in ("a", "b")]
    assert [row["run"] for row in load_runs(*folders).query()] == list(map(str, folders))


def test_a_single_run_keeps_the_name_that_its_rows_carry(tmp_path):
    folder = write_run(tmp_path / "new", [record(0, run="old")])
    assert load_runs(folder).query()[0]["run"] == "old"


def test_scores_that_do_not_compare_are_told(runs, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runs.query()
    write_run(tmp_path / "c", [replace(record(5), evaluation_id="x")])
    third = load_runs(tmp_path / "a", tmp_path / "c")
    with pytest.warns(UserWarning, match="see evaluation_id.*do not compare"):
        third.top(1)


def test_runs_that_rank_differently_have_no_common_order(runs, tmp_path):
    (tmp_path / "b" / "config.yaml").write_text("limits: ['params<=4000']\n")
    for asked in ({}, {"pareto": ["params"]}, {"pareto": ["params"], "sort": "key"}):
        with pytest.raises(QueryError, match=r"a and .*b rank by different scores or limits"):
            runs.query(**asked)
    assert found(runs.query(sort="params DESC", top=1)) == [("b", 4)]


def test_a_damaged_part_of_one_run_is_named_and_all_others_are_read(runs, tmp_path):
    for name in ("a", "b"):
        part_files(tmp_path / name, "candidates")[0].write_bytes(b"PAR1")
    with pytest.warns(UserWarning, match="skipped") as caught:
        assert found(load_runs(tmp_path / "a", tmp_path / "b").query()) == [("a", 2), ("b", 4)]
    assert len(caught) == 2


def test_a_newer_run_among_others_is_refused(runs, tmp_path):
    newer = write_run(tmp_path / "c", [record(0, schema_version=SCHEMA_VERSION + 1)])
    with pytest.raises(RunFolderError, match=rf"{newer} was written with schema version"):
        load_runs(tmp_path / "a", newer)


def test_empty_runs_are_empty_tables(tmp_path):
    folders = [write_run(tmp_path / name) for name in ("a", "b")]
    runs = load_runs(*folders)
    assert runs.query() == runs.top() == runs.pareto("params") == []
    assert len(runs.candidates()) == 0
    full = write_run(tmp_path / "c", [record(0)])
    assert found(load_runs(*folders, full).top()) == [("c", 0)]


def test_a_reader_sees_what_several_writers_add_and_merge(tmp_path):
    with RunStore.create(tmp_path / "a", "") as a, RunStore.create(tmp_path / "b", "") as b:
        runs = load_runs(tmp_path / "a", tmp_path / "b")
        for i in range(3):
            a.append_candidates([record(2 * i)])
            b.append_candidates([record(2 * i + 1, status=Status.FAILED)])
            a.flush()
            b.compact()
            assert len(runs.query()) == 2 * (i + 1)
            assert len(runs.top(10)) == 2 * (i + 1)


def test_several_runs_in_buckets_and_on_a_disk_are_one(bucket, tmp_path, runs):
    from gtn_nas.storage.bucket import BucketPath

    write_run(BucketPath.of(f"{bucket}/runs/far"), [record(7)], [record(8)])
    rows = load_runs(f"{bucket}/runs/*", tmp_path / "b").query(sort="params", top=9)
    assert found(rows) == [("b", 2), ("b", 3), ("b", 4), ("far", 7), ("far", 8)]
