import json

from gtn_nas.errors import one_line
from gtn_nas.results.store import RunStore
from gtn_nas.trial import Status

from ..results.samples import final, record


def write(folder):
    hostile = {"error": "Value\x1b[31mError: <b>", "status": Status.FAILED}
    with RunStore.create(folder, "candidates: 9\ntop_k: 1\nrank_by: proxy_accuracy\n") as store:
        store.append_event("start")
        store.append_candidates([record(0, node="n"), record(1, node="\x1b[2J", **hostile)])
        store.append_final(final(0, validation_accuracy=0.5))
    return folder


def test_the_state_of_runs_is_told_in_lines(run_main, tmp_path):
    write(tmp_path / "a")
    with RunStore.create(tmp_path / "b", ""):
        code, out, err = run_main("status", "*")
    assert (code, err) == (0, "")
    assert "\x1b" not in out
    first, second = out.split("\n\n")
    lines = first.splitlines()
    assert lines[:4] == [
        "a: interrupted",
        "  go on with: gtn-nas search --resume --out a",
        "  evaluations: 2 (asked for 9 candidates): 1 failed, 1 ok",
        "    1 failed, e.g. Value [31mError: <b>",
    ]
    assert any(line.startswith("  best by proxy_accuracy: " + record(0).key) for line in lines)
    assert "  full trainings: 1 ok (asked for 1)" in lines
    assert second.startswith("b: running by process ")


def test_json_is_a_list_of_runs(run_main, tmp_path):
    write(tmp_path / "a")
    code, out, err = run_main("status", "a", "--format", "json")
    assert (code, err) == (0, "")
    (found,) = json.loads(out)
    assert (found["state"], found["counts"]) == ("interrupted", {"failed": 1, "ok": 1})
    assert found["started_at"].endswith("+00:00")


def test_numbers_that_json_does_not_know_are_null(run_main, tmp_path):
    with RunStore.create(tmp_path / "a", "rank_by: proxy_loss\n") as store:
        store.append_candidates([record(0, proxy_loss=float("nan"))])
    _, out, _ = run_main("status", "a", "--format", "json")
    assert json.loads(out, parse_constant=one_line)[0]["best"]["proxy_loss"] is None


def test_bad_input_is_one_line_and_exit_code_2(run_main, tmp_path):
    write(tmp_path / "a")
    for arguments, said in (
        (["nowhere"], "there is no run folder nowhere"),
        (["x*"], "no run matches 'x*'"),
        (["a", "--format", "jsn"], "unknown format 'jsn'; did you mean json?"),
    ):
        code, out, err = run_main("status", *arguments)
        assert (code, out) == (2, "")
        assert said in err
        assert err.count("\n") == 1
