import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest

from gtn_nas.errors import QueryError, RunFolderError
from gtn_nas.results.query import load_run
from gtn_nas.results.schema import KINDS, columns
from gtn_nas.trial import SCHEMA_VERSION, Record

from .samples import record, write_run


def params(rows):
    return [row["params"] // 1000 - 1 for row in rows]


# what a run holds


def test_all_candidates_come_best_first_with_every_column(folder):
    rows = load_run(folder).query()
    assert params(rows)[:6] == [0, 1, 2, 4, 5, 6]
    assert list(rows[0]) == [*columns(Record), "synflow"]
    assert rows[0]["created_at"] == record(0).created_at
    assert rows[0]["created_at"].tzinfo is UTC
    assert {rows[6]["params"], rows[7]["params"]} == {4000, 8000}
    assert rows[7]["error"] == "no <memory>"


def test_top_where_columns_and_sort(folder):
    run = load_run(folder)
    assert params(run.top(2)) == [0, 1]
    assert params(run.query(where="params > 2500 AND status = 'ok'")) == [2, 4, 5, 6]
    assert run.query(top=1, columns=["synflow", "key"]) == [{"synflow": 0.0, "key": record(0).key}]
    assert params(run.query(sort="params DESC")) == [7, 6, 5, 4, 3, 2, 1, 0]
    assert params(run.query(top=3, sort='status desc, "synflow" Desc')) == [6, 5, 4]
    assert params(run.query(sort="synflow"))[-2:] != [0, 1]
    assert run.query(top=0) == []


def test_the_front_of_columns(folder):
    run = load_run(folder)
    best, last = run.query(pareto=["proxy_accuracy", "synflow"])[::5]
    assert (best["synflow"], last["synflow"]) == (0.0, 60.0)
    assert params(run.query(pareto=["proxy_accuracy", "params"])) == [0]
    assert run.query(pareto=["synflow"], columns=["key"]) == [{"key": record(6).key}]
    front = {"pareto": ["proxy_accuracy", "synflow"], "where": "params > 2500"}
    assert params(run.query(**front)) == [2, 4, 5, 6]
    assert params(run.query(**front, top=2)) == [2, 4]
    assert params(run.query(**front, sort="params DESC")) == [6, 5, 4, 2]
    (folder / "config.yaml").write_text("limits: ['params<=6000']\n")
    assert params(run.query(**front)) == [2, 4, 5]
    assert run.query(pareto=["flops"]) == []


@pytest.mark.parametrize(
    ("columns", "text"), [(["parms"], "unknown column 'parms'"), (["device"], "holds no numbers")]
)
def test_a_front_is_of_columns_that_hold_numbers(folder, columns, text):
    with pytest.raises(QueryError, match=text):
        load_run(folder).query(pareto=columns)


def test_a_candidate_of_several_budgets_is_one_row(tmp_path):
    half, whole = replace(record(0), budget=16), replace(record(0), tell_index=2)
    stopped = replace(record(1, tell_index=1), budget=16)
    run = load_run(write_run(tmp_path / "run", [half, stopped, whole]))
    rows = run.query(columns=["key", "budget"])
    assert [tuple(row.values()) for row in rows] == [(half.key, 32), (stopped.key, 16)]
    assert [row["budget"] for row in run.query(where="budget < 32")] == [16, 16]
    assert [row["key"] for row in run.query(pareto=["params", "proxy_accuracy"])] == [half.key]
    assert run.sql("SELECT count(*) AS n FROM candidates") == [{"n": 3}]
    assert run.architecture(half.key) == half.architecture


def test_a_condition_can_look_into_choices_and_times(folder):
    run = load_run(folder)
    assert params(run.query(where="choices->>'width' = '2'")) == [2]
    assert params(run.query(where="created_at <= '2026-01-01 00:00:01'")) == [0, 1]
    best = "params = (SELECT min(params) FROM candidates)"
    assert params(run.query(where=best)) == [0]


def test_the_configuration_ranks(folder):
    (folder / "config.yaml").write_text("rank_by: synflow\n")
    assert params(load_run(folder).top(3)) == [6, 5, 4]
    (folder / "config.yaml").write_text("rank_by: params\n")  # the largest first
    assert params(load_run(folder).top(4)) == [6, 5, 4, 2]
    (folder / "config.yaml").write_text("rank_by: proxy_accuracy + synflow + params\n")
    assert params(load_run(folder).top(4)) == [6, 5, 4, 2]
    (folder / "config.yaml").write_text("rank_by: proxy_accuracy + synflow\n")  # all tie
    assert params(load_run(folder).query(where="params != 2000", top=3)) == [0, 2, 4]


def test_sql_sees_all_three_tables(folder):
    run = load_run(folder)
    joined = "SELECT f.rank, c.params FROM finals f JOIN candidates c USING (key) ORDER BY f.rank"
    assert run.sql(joined) == [{"rank": 1, "params": 1000}, {"rank": 2, "params": 2000}]
    kinds = "SELECT kind, count(*) AS n FROM Events GROUP BY kind ORDER BY n"
    assert run.sql(kinds) == [{"kind": "stop", "n": 1}, {"kind": "ask", "n": 8}]


def test_tables_as_data_frames(folder):
    run = load_run(folder)
    candidates = run.candidates()
    assert list(candidates["tell_index"]) == list(range(8))
    assert candidates["created_at"][0] == record(0).created_at
    assert list(candidates["status"]).count("failed") == 2
    assert list(run.finals()["rank"]) == [1, 2]
    assert list(run.events()["kind"]) == ["ask"] * 8 + ["stop"]


def test_config_and_architecture(folder):
    run = load_run(str(folder))
    assert run.config == {"seed": 5}
    assert run.architecture(record(3).key) == record(3).architecture
    with pytest.raises(QueryError, match=r"no candidate with the key \"it's\""):
        run.architecture("it's")


def test_a_run_without_candidates_is_an_empty_table(tmp_path):
    run = load_run(write_run(tmp_path / "run"))
    assert run.query() == run.top() == run.query(where="params > 3", sort="key") == []
    assert run.rows()[0] == list(columns(Record))
    assert run.sql("SELECT count(*) AS n FROM finals") == [{"n": 0}]
    frames = run.candidates(), run.finals(), run.events(), run.latencies()
    for table, frame in zip(KINDS, frames, strict=True):
        assert list(frame.columns) == list(columns(KINDS[table]))


def test_a_run_whose_configuration_is_broken_says_so(tmp_path):
    folder = write_run(tmp_path / "run", config="a: [")
    with pytest.raises(RunFolderError, match=r"cannot read .*config\.yaml: while parsing"):
        load_run(folder).query()
    (folder / "config.yaml").write_text("just words")
    with pytest.raises(RunFolderError, match="not a mapping"):
        load_run(folder).query()


# what is refused


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match=r"there is no run folder .*nowhere"):
        load_run(tmp_path / "nowhere")
    with pytest.raises(RunFolderError, match="is not a run"):
        load_run(tmp_path)


def test_a_run_of_a_newer_version_is_refused(tmp_path):
    newer = SCHEMA_VERSION + 1
    folder = write_run(tmp_path / "run", [record(0)], [record(1, schema_version=newer)])
    with pytest.raises(RunFolderError, match=f"schema version {newer}.* install a newer one"):
        load_run(folder)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"where": "prams < 3"}, "unknown column 'prams'; did you mean params"),
        ({"columns": ["kee"]}, r"unknown column 'kee'; did you mean .*key"),
        ({"sort": "synflo DESC"}, r"unknown column 'synflo'; did you mean synflow"),
        ({"sort": "params; DROP TABLE x"}, "unknown column"),
        ({"sort": "params,"}, "cannot sort by"),
        ({"top": -1}, "must not be negative"),
        ({"where": "true) UNION SELECT (1"}, "not a condition"),
        ({"where": "true; SELECT 1"}, "not a condition"),
        ({"where": "key IN (SELECT content FROM read_text('/etc/passwd'))"}, "may not call"),
        ({"where": "count(*) > 1"}, "aggregates"),
        ({"where": "key::INT = 1"}, "Could not convert"),
        ({"where": "params > $1"}, "parameters"),
        ({"where": "synflow > 1 AND"}, "not a condition"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(folder, arguments, why):
    with pytest.raises(QueryError, match=why) as caught:
        load_run(folder).query(**arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("select", "why"),
    [
        ("SELECT test_acuracy FROM finals", "unknown column 'test_acuracy'; did you mean test_acc"),
        ("SELECT c.kee FROM candidates c", 'does not have a column named "kee"'),
        ("SELECT * FROM candidate", "candidate does not exist"),
        ("SELECT * FROM '/etc/passwd'", "does not exist"),
        ("SELECT * FROM 'https://example.org/x.parquet'", "disabled"),
        ("DELETE FROM candidates", "exactly one SELECT"),
        ("COPY candidates TO '/tmp/x'", "exactly one SELECT"),
    ],
)
def test_wrong_sql_is_refused_in_one_line(folder, select, why):
    with pytest.raises(QueryError, match=why) as caught:
        load_run(folder).sql(select)
    assert "\n" not in str(caught.value)


LIGHT = """
import json, sys
from gtn_nas.results.query import load_run
rows = load_run(sys.argv[1]).query(top=1, where="params > 0")
heavy = {"pandas", "pyarrow", "numpy", "scipy", "torch", "ray", "pydantic"}
print(json.dumps([len(rows), sorted(heavy & set(sys.modules))]))
"""


def test_a_query_loads_no_heavy_package(folder):
    command = [sys.executable, "-c", LIGHT, str(folder)]
    root = Path(__file__).resolve().parents[2]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root).stdout
    assert json.loads(said) == [1, []]
