import csv
import io
import json
import math
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from gtn_nas.architecture import Architecture
from gtn_nas.cli.query import print_query, query
from gtn_nas.errors import ConfigError, QueryError, RunFolderError
from gtn_nas.results.parts import to_table, write_part
from gtn_nas.results.selection import Selection
from gtn_nas.results.store import RunStore
from gtn_nas.trial import Record, Status, Trial

COLUMNS = [f.name for f in fields(Record) if f.name != "extra"]


def candidate(index: int) -> Record:
    trial = Trial(Architecture("cells", {"width": index, "op": "conv3x3"}), 32, index)
    accuracy = 0.9 - index / 100
    return Record.of(trial, Status.OK, proxy_accuracy=accuracy, params=12345 * (index + 1))


@pytest.fixture
def run(tmp_path):
    """Twelve candidates; the last failed with an error that wants to be more than text."""
    records = [candidate(i) for i in range(12)]
    bad = {"proxy_accuracy": None, "proxy_loss": math.nan, "error": '[red]a\x1b[31m\nb, "c"'}
    records[-1] = replace(records[-1], status=Status.FAILED, **bad)
    with RunStore.create(tmp_path / "run", "seed: 0\n") as store:
        store.append_candidates(records)
    return tmp_path / "run"


def show(*runs: Path | str, format: str = "table", **question: object) -> None:
    print_query(runs, Selection(**question), format)


def test_a_table_shows_the_best_first(run, capsys):
    show(run, top=2)
    header, first, second = capsys.readouterr().out.splitlines()
    names = ["rank", "key", "proxy_accuracy", "proxy_loss", "params", "flops", "status", "choices"]
    assert header.split() == names
    key = candidate(0).key
    shown = ["1", key, "0.9", "-", "12,345", "-", "ok", "op=conv3x3", "width=0"]
    assert first.split() == shown
    assert second.split()[:3] == ["2", candidate(1).key, "0.89"]


def test_a_table_shows_hostile_text_as_text(run, capsys):
    show(run, where="status = 'failed'", columns=["error"])
    out = capsys.readouterr().out
    assert '[red]a [31m b, "c"' in out
    assert "\x1b" not in out


def test_json_is_a_list_of_records(run, capsys):
    show(run, format="json")
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 12
    assert list(rows[0]) == COLUMNS
    assert rows[0]["proxy_accuracy"] == 0.9
    assert rows[0]["flops"] is None
    assert rows[0]["created_at"].endswith("+00:00")
    assert rows[-1]["proxy_loss"] is None
    assert rows[-1]["error"] == '[red]a\x1b[31m\nb, "c"'


def test_csv_has_a_header_and_a_line_for_each_record(run, capsys):
    show(run, format="csv")
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 12
    assert list(rows[0]) == COLUMNS
    assert float(rows[0]["proxy_accuracy"]) == 0.9
    assert rows[0]["flops"] == ""
    assert rows[-1]["error"] == '[red]a\x1b[31m\nb, "c"'


def test_a_front_shows_its_columns_first(run, capsys):
    show(run, pareto=["ask_index", "params"], top=3)
    header, first, *others = capsys.readouterr().out.splitlines()
    assert header.split()[:4] == ["rank", "key", "ask_index", "params"]
    assert first.split()[:4] == ["1", candidate(0).key, "0", "12,345"]
    assert len(others) == 2


@pytest.mark.parametrize(
    ("format", "expected"),
    [("json", "[]\n"), ("csv", "key,params\n"), ("table", "rank  key  params\n")],
)
def test_no_rows_are_shown_as_none(run, capsys, format, expected):
    show(run, where="params < 0", columns=["key", "params"], format=format)
    assert capsys.readouterr().out == expected


def test_what_is_wrong_is_said(run, tmp_path):
    with pytest.raises(ConfigError, match="unknown format 'jsn'; did you mean json"):
        show(run, format="jsn")
    with pytest.raises(QueryError, match="unknown column 'parms'"):
        show(run, sort="parms")
    with pytest.raises(RunFolderError, match="no run folder"):
        show(tmp_path / "nowhere")


def test_the_command_shows_ten_in_a_table_and_all_otherwise(run):
    app = typer.Typer()
    app.command()(query)
    table = CliRunner().invoke(app, [str(run)])
    assert len(table.stdout.splitlines()) == 11
    options = ["--format", "csv", "--columns", "key, params", "--where", "params > 30000"]
    rows = CliRunner().invoke(app, [str(run), *options, "--sort", "params DESC"])
    assert rows.stdout.splitlines()[:2] == ["key,params", f"{candidate(11).key},{12345 * 12}"]
    assert len(rows.stdout.splitlines()) == 11
    goals = ["--pareto", "proxy_accuracy, params", "--format", "csv", "--columns", "key"]
    front = CliRunner().invoke(app, [str(run), *goals])
    assert front.stdout.splitlines() == ["key", candidate(0).key]


# several runs, SQL, Parquet


@pytest.fixture
def other(tmp_path):
    """Two candidates, of which the first is worse than any of ``run``."""
    with RunStore.create(tmp_path / "other", "seed: 1\n") as store:
        store.append_candidates([candidate(40), replace(candidate(0), run="old name")])
    return tmp_path / "other"


def test_rows_of_several_runs_carry_their_names(run, other, capsys, tmp_path):
    show(run, other, top=2)
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split()[:4] == ["rank", "run", "key", "proxy_accuracy"]
    assert [row.split()[1:3] for row in rows] == [[n, candidate(0).key] for n in ("run", "other")]
    show(f"{tmp_path}/*", format="csv", columns=["run"])
    assert sorted(capsys.readouterr().out.split()) == ["other"] * 2 + ["run"] * 13


def test_sql_is_shown_in_its_own_order_and_columns(run, other, capsys):
    sql = "SELECT run, count(*) AS n, max(params) AS params FROM candidates GROUP BY 1 ORDER BY 1"
    print_query([run, other], sql)
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["run", "n", "params"],
        ["other", "2", "506,145"],
        ["run", "12", "148,140"],
    ]


@pytest.mark.parametrize(
    "value",
    ["{'a': 'nan'::DOUBLE}", "[1e400]", "INTERVAL 1 DAY", "'abc'::BLOB", "DATE '2026-01-01'"],
)
@pytest.mark.parametrize("format", ["table", "csv", "json"])
def test_any_value_is_shown(run, capsys, value, format):
    print_query([run], f"SELECT {value} AS params, '[]' AS choices", format)
    out = capsys.readouterr().out
    assert "params" in out
    if format == "json":
        assert len(json.loads(out)) == 1


def test_parquet_goes_to_stdout(run, capfdbinary):
    show(run, format="parquet", top=3)
    table = pq.read_table(io.BytesIO(capfdbinary.readouterr().out))
    assert table["key"].to_pylist() == [candidate(i).key for i in range(3)]
    assert str(table.schema.field("created_at").type) == "timestamp[us, tz=UTC]"
    print_query([run], "SELECT 1 AS one", "parquet")
    table = pq.read_table(io.BytesIO(capfdbinary.readouterr().out))
    assert table.to_pylist() == [{"one": 1}]


def test_a_terminal_gets_neither_parquet_nor_what_could_steer_it(run, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    show(run, format="csv", where="status = 'failed'", columns=["error"])
    assert capsys.readouterr().out == 'error\n"[red]a [31m b, ""c"""\n'
    with pytest.raises(ConfigError, match="redirect it: --format parquet > FILE"):
        show(run, format="parquet")


def test_what_parquet_cannot_hold_is_said_before_anything_is_written(run, capfdbinary):
    with pytest.raises(QueryError, match="Parquet cannot hold this"):
        print_query([run], "SELECT INTERVAL 1 DAY AS i", "parquet")
    assert capfdbinary.readouterr().out == b""


# what is wrong, as the command says it

WRONG = [
    (["{run}", "--sql", "SELEC 1"], "not SQL: "),
    (["{run}", "--sql", "SELECT * FROM read_text('{run}/config.yaml')"], "may not call read_text"),
    (["{run}", "--sql", "SELECT * FROM '{run}/config.yaml'"], "config.yaml"),
    (["{run}", "--sql", "COPY candidates TO '{run}/out.csv'"], "exactly one SELECT"),
    (["{run}", "--sql", "DROP TABLE candidates"], "exactly one SELECT"),
    (["{run}", "--sql", "SELECT prams FROM candidates"], "unknown column 'prams'; did you mean"),
    (["{run}", "--sql", ""], "exactly one SELECT"),
    (["{run}", "--sql", "SELECT 1", "--top", "3"], "--sql stands alone"),
    (["{run}", "--columns", "kee"], "unknown column 'kee'"),
    (["{run}", "--sort", "x\x1b[31m"], "unknown column 'x\\x1b[31m'"),
    (["{run}", "--pareto", "proxy_accuracy,size"], "unknown column 'size'"),
    (["{run}", "--format", "xml"], "unknown format 'xml'"),
    (["{run}", "--format", "csv", "--watch"], "leave out --format"),
    (["{run}/nothing*"], "no run matches"),
    (["{run}/../*.txt"], "no run matches"),
    (["{run}/finals"], "is not a run"),
    (["{run}", "no\x1b<b>where"], "there is no run folder no <b>where"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG)
def test_bad_input_is_one_line_and_exit_code_2(run_main, run, arguments, said):
    (run.parent / "notes.txt").touch()
    before = sorted(run.rglob("*"))
    code, out, err = run_main("query", *(a.replace("{run}", str(run)) for a in arguments))
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert said in err
    assert err.count("\n") == 1
    assert err[:-1].isprintable()
    assert sorted(run.rglob("*")) == before


def test_a_newer_run_among_others_is_refused(run_main, run, other):
    newer = to_table([replace(candidate(50), schema_version=99)], "run")
    write_part(other / "candidates" / "part-9.parquet", newer)
    code, out, err = run_main("query", run, other)
    assert (code, out) == (2, "")
    assert "was written with schema version 99" in err


def test_damaged_parts_are_named_on_stderr_and_the_others_are_shown(run_main, run, other):
    (other / "candidates" / "part-\x1b[31m.parquet").write_bytes(b"PAR1")
    (run / "candidates" / "part-x.parquet").write_text("<b>")
    code, out, err = run_main("query", run, other, "--format", "csv", "--columns", "key")
    assert code == 0
    assert len(out.splitlines()) == 1 + 14
    first, second = err.splitlines()
    assert (
        first == f"warning: skipped {run}/candidates/part-x.parquet: it is damaged or no candidates"
    )
    assert f"skipped {other}/candidates/part- [31m.parquet" in second


def test_names_with_html_and_control_characters_are_shown_as_text(run_main, run):
    hostile = run.rename(run.with_name("<b>\x1b[31m[red]"))
    for name in (hostile, hostile.with_name("*red]")):
        code, out, err = run_main("query", name, run.parent / "*", "--columns", "run,key")
        assert (code, err) == (0, "")
        assert "\x1b" not in out
    with RunStore.create(run, "") as store:
        store.append_candidates([candidate(0)])
    code, out, _ = run_main("query", f"{run.parent}/*", "--columns", "run", "--top", 1)
    assert "<b> [31m[red]" in out
    code, out, _ = run_main("status", f"{run.parent}/*")
    assert code == 0
    assert "\x1b" not in out


def test_an_empty_run_is_an_empty_table(run_main, tmp_path):
    RunStore.create(tmp_path / "empty", "").close()
    code, out, err = run_main("query", "empty", "--columns", "key")
    assert (code, out, err) == (0, "rank  key\n", "")


def test_runs_that_rank_differently_need_an_order(run_main, run, other):
    (other / "config.yaml").write_text("rank_by: params\n")
    code, _, err = run_main("query", run, other)
    assert code == 2
    assert "rank by different scores or limits (proxy_accuracy, params)" in err
    code, out, _ = run_main("query", run, other, "--sort", "params DESC", "--columns", "run,params")
    assert code == 0
    assert out.splitlines()[1].split() == ["1", "other", "506,145"]


def test_watching_ends_when_nobody_writes_the_run(run_main, run):
    code, out, err = run_main("query", run, "--watch", "--top", 1)
    assert (code, err) == (0, "")
    assert out.splitlines()[1].split()[1] == candidate(0).key


LIGHT = """
import sys
from gtn_nas.cli.query import print_query
from gtn_nas.results.selection import Selection
print_query([sys.argv[1]], Selection(top=1), sys.argv[2])
heavy = {"pandas", "pyarrow", "numpy", "scipy", "torch", "ray", "pydantic"}
heavy |= set() if sys.argv[2] == "table" else {"rich.table"}
print(sorted(heavy & set(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize("format", ["table", "csv", "json"])
def test_a_query_loads_only_what_it_prints_with(run, format):
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", LIGHT, str(run), format]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    assert candidate(0).key in done.stdout
    assert done.stderr == "[]\n"
