import json

import pytest

from gtn_nas.results.store import RunStore

from ..results.samples import final, record

FACTS = {"data": "d", "split": "0"}


def write(folder, seed, best):
    with RunStore.create(folder, f"seed: {seed}\nrank_by: proxy_accuracy\n") as store:
        store.append_event("start", details=FACTS)
        store.append_candidates([record(i) for i in range(best, best + 4)])
        store.append_final(final(best, validation_accuracy=0.9 - best / 10))


def test_two_runs_are_told_apart_in_lines(run_main, tmp_path):
    write(tmp_path / "a", 0, 1)
    write(tmp_path / "b", r'"\e[31m"', 0)
    code, out, err = run_main("compare", "a", "b", "--top", 2)
    assert code == 0, err
    assert "\x1b" not in out
    assert out.splitlines() == [
        "1: a",
        "2: b",
        "what differs, 1 | 2:",
        "  seed: 0 |  [31m",
        f"full trainings: by validation_accuracy, 2 found the better one ({record(1).key} with 0.8 "
        f"in 1, {record(0).key} with 0.9 in 2)",
        f"candidates: by proxy_accuracy, 2 found the better one ({record(1).key} in 1, "
        f"{record(0).key} in 2)",
        "evaluated well: 4 and 4 candidates, 3 of them in both; of the best 2 of each, 1 are in "
        "both",
        "Spearman of the two rankings on what is in both: +1.00",
    ]


def test_json_holds_the_same(run_main, tmp_path):
    write(tmp_path / "a", 0, 1)
    write(tmp_path / "b", 0, 1)
    code, out, _ = run_main("compare", "a", "b", "--format", "json")
    assert code == 0
    found = json.loads(out)
    assert (found["settings"], found["by_score"]["better"]) == ({}, None)
    assert found["spearman"] == pytest.approx(1.0)


def test_bad_input_is_one_line_and_exit_code_2(run_main, tmp_path):
    write(tmp_path / "a", 0, 1)
    for arguments, said in (
        (["a", "nowhere"], "there is no run folder nowhere"),
        (["a"], "Missing argument"),
        (["a", "a", "--top", 0], "Invalid value for '--top'"),
        (["a", "a", "--format", "csv"], "unknown format 'csv'"),
    ):
        code, out, err = run_main("compare", *arguments)
        assert (code, out) == (2, "")
        assert said in err
        assert err.count("\n") == 1
