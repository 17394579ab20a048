import csv
import io
import json
import math
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from gtn_nas.architecture import Architecture
from gtn_nas.cli.query import print_query, query
from gtn_nas.errors import ConfigError, QueryError, RunFolderError
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


def show(run: Path, **options: object) -> None:
    defaults = {"top": None, "where": None, "columns": None, "sort": None, "format": "table"}
    print_query(run, **defaults | options)


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


LIGHT = """
import sys
from pathlib import Path
from gtn_nas.cli.query import print_query
print_query(Path(sys.argv[1]), top=1, where=None, columns=None, sort=None, format=sys.argv[2])
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
