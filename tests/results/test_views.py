import shutil
import threading
import warnings
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gtn_nas.results.layout import part_files
from gtn_nas.results.parts import to_table, write_part
from gtn_nas.results.query import load_run
from gtn_nas.results.schema import KINDS
from gtn_nas.results.store import RunStore

from .samples import final, latency, record, write_run


def params(rows):
    return [row["params"] // 1000 - 1 for row in rows]


def test_duplicates_are_dropped_wherever_they_are(folder):
    for table in KINDS:
        for path in part_files(folder, table):
            shutil.copy(path, path.with_name(f"{path.stem}-copy.parquet"))
    again = record(0, tell_index=99, proxy_accuracy=0.0)
    write_part(folder / "candidates" / "part-again.parquet", to_table([again], "run"))
    run = load_run(folder)
    assert params(run.query())[:6] == [0, 1, 2, 4, 5, 6]
    assert run.sql("SELECT count(*) AS n FROM candidates") == [{"n": 8}]
    assert run.sql("SELECT count(*) AS n FROM finals") == [{"n": 2}]
    assert run.sql("SELECT count(*) AS n FROM events") == [{"n": 9}]
    assert run.sql("SELECT max(tell_index) AS n FROM candidates") == [{"n": 7}]


def test_another_budget_seed_or_evaluation_is_no_duplicate(tmp_path):
    others = [{"budget": 64}, {"seed": 8}, {"evaluation_id": "f"}]
    records = [record(0), *(replace(record(0), **other) for other in others)]
    run = load_run(write_run(tmp_path / "run", records))
    assert run.sql("SELECT count(*) AS n FROM candidates") == [{"n": 4}]


def latencies(folder):
    rows = load_run(folder).sql("SELECT latency_ms FROM candidates ORDER BY tell_index")
    return [row["latency_ms"] for row in rows]


def test_candidates_of_a_run_that_measured_latencies_have_theirs(folder):
    assert "latency_ms" not in load_run(folder).query(top=1)[0]
    assert load_run(folder).sql("SELECT count(*) AS n FROM latencies") == [{"n": 0}]
    again = replace(record(2), budget=64, tell_index=8)
    later = latency(1, 9.0, created_at=record(7).created_at)
    with RunStore.open(folder) as store:
        store.append_candidates([again])
        for measured in (latency(1, 4.0), latency(2, 3.0), later):
            store.append_latency(measured)
        store.append_latency(latency(4, None, error="too small"))
    run = load_run(folder)
    assert latencies(folder) == [None, 4.0, 3.0, None, None, None, None, None, 3.0]
    assert run.sql("SELECT count(*) AS n FROM candidates") == [{"n": 9}]
    assert run.sql("SELECT key, latency_ms FROM latencies ORDER BY latency_ms")[0] == {
        "key": record(2).key,
        "latency_ms": 3.0,
    }
    assert params(run.query(where="latency_ms < 5", pareto=["latency_ms"])) == [2]
    assert run.candidates()["latency_ms"].notna().sum() == 3
    assert list(run.latencies()["error"].dropna()) == ["too small"]
    assert len(run.query()) == 8


def test_a_run_with_a_limit_on_latency_ranks_by_it(folder):
    with RunStore.open(folder) as store:
        for i in range(8):
            store.append_latency(latency(i, 8.0 - i))
        store.save_config("limits: [latency_ms<=6]")
    assert params(load_run(folder).query()) == [2, 4, 5, 6, 0, 1, 3, 7]


def test_a_damaged_part_of_latencies_is_named_and_candidates_are_read_without(folder):
    with RunStore.open(folder) as store:
        store.append_latency(latency(0, 4.0))
        store.append_latency(latency(1, 5.0))
    first, second = part_files(folder, "latencies")
    first.write_bytes(b"PAR1")
    with pytest.warns(UserWarning, match=f"skipped {first}"):
        assert latencies(folder)[:2] == [None, 5.0]
    second.unlink()
    with pytest.warns(UserWarning, match=f"skipped {first}"):
        assert "latency_ms" not in load_run(folder).query(top=1)[0]


def damage(path, how):
    content = path.read_bytes()
    if how == "empty":
        path.write_bytes(b"")
    elif how == "torn":
        path.write_bytes(content[: len(content) // 2])
    elif how == "text":
        path.write_text("hello")
    elif how == "no candidates":
        pq.write_table(pa.table({"animal": ["cat"]}), path)
    elif how == "params is a text":
        table = pq.read_table(path)
        params = table.column_names.index("params")
        pq.write_table(table.set_column(params, "params", pa.array(["a", "b"])), path)
    else:  # a block in the middle of the choices is no longer what it was
        column = pq.read_metadata(path).row_group(0).column(2)
        start = column.dictionary_page_offset or column.data_page_offset
        end = start + column.total_compressed_size
        path.write_bytes(content[: start + 8] + bytes(end - start - 8) + content[end:])


@pytest.mark.parametrize(
    "how", ["empty", "torn", "text", "no candidates", "params is a text", "corrupt"]
)
def test_a_damaged_part_is_named_and_the_others_are_read(folder, how):
    damaged = part_files(folder, "candidates")[1]
    damage(damaged, how)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run = load_run(folder)
        assert params(run.query()) == [0, 1, 4, 5, 6, 7]
        assert len(run.candidates()) == 6
    (warning,) = caught
    assert f"skipped {damaged}" in str(warning.message)


def test_a_run_of_damaged_parts_only_is_empty(folder):
    for path in part_files(folder, "candidates"):
        path.write_bytes(b"PAR1")
    with pytest.warns(UserWarning, match="skipped"):
        assert load_run(folder).query() == []


def test_unfinished_and_other_files_do_not_matter(folder):
    (folder / "candidates" / ".part-00000009-ab.parquet.tmp").write_bytes(b"PAR1")
    (folder / "candidates" / "notes.txt").write_text("x")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(load_run(folder).query()) == 8


def test_a_column_that_an_older_version_did_not_write_is_null(folder):
    path = part_files(folder, "candidates")[0]
    write_part(path, pq.read_table(path).drop_columns(["flops", "attempt"]))
    rows = load_run(folder).query(columns=["attempt"], sort="tell_index")
    assert [row["attempt"] for row in rows] == [None, None, 1, 1, 1, 1, 1, 1]
    for path in part_files(folder, "candidates"):
        write_part(path, pq.read_table(path).select([*pq.read_schema(path).names[:10]]))
    assert load_run(folder).query(top=1)[0]["proxy_loss"] is None


def test_finals_of_an_older_version_were_chosen_by_the_ranking(folder):
    paths = part_files(folder, "finals")
    for path in paths[:1]:
        write_part(path, pq.read_table(path).drop_columns(["predicted_accuracy"]))
    with RunStore.open(folder) as store:
        store.append_final(final(2, predicted_accuracy=0.75))
        assert [f.predicted_accuracy for f in store.load_finals()] == [None, None, 0.75]
    rows = load_run(folder).sql("SELECT predicted_accuracy AS p FROM finals ORDER BY rank")
    assert [row["p"] for row in rows] == [None, None, 0.75]


def test_a_reader_sees_what_is_written_and_merged_meanwhile(tmp_path):
    with RunStore.create(tmp_path / "run", "") as store:
        run = load_run(tmp_path / "run")
        assert run.query() == []
        for i in range(3):
            store.append_candidates([record(i)])
            store.flush()
            assert len(run.query()) == i + 1
        store.compact()
        assert params(run.query()) == [0, 1, 2]


def test_a_reader_is_right_while_a_writer_merges_all_the_time(tmp_path):
    with RunStore.create(tmp_path / "run", "") as store:
        store.append_candidates([record(0)])
        store.flush()
        stop = threading.Event()
        wrong = []

        def read():
            run = load_run(tmp_path / "run")
            while not stop.is_set():
                rows = run.query(columns=["tell_index"], sort="tell_index")
                told = [row["tell_index"] for row in rows]
                if told != list(range(len(told))):
                    wrong.append(told)

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            reader = threading.Thread(target=read)
            reader.start()
            for i in range(1, 40):
                store.append_candidates([record(i)])
                store.compact()
            stop.set()
            reader.join()
        assert wrong == []
