import subprocess
import sys

import pytest

from ..results.samples import record, write_run

ABSENT = ("torch", "ray", "pandas", "jinja2", "uvicorn", "starlette", "scipy")


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "run", [record(0)])


def test_a_report_is_in_the_run_folder(run_main, run):
    code, out, err = run_main("report", run)
    assert (code, err) == (0, "")
    assert out.startswith(str(run / "report.html"))
    assert record(0).key in (run / "report.html").read_text()


def test_or_wherever_it_is_wanted(run_main, run, tmp_path):
    code, *_ = run_main("report", run, "--out", tmp_path / "page.html")
    assert code == 0
    assert (tmp_path / "page.html").exists()
    assert not (run / "report.html").exists()


def test_a_reported_run_can_still_be_read_and_reported(run_main, run):
    for command in ("report", "query", "report"):
        assert run_main(command, run)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere",), "there is no run folder nowhere"),
        ((".",), "is not a run"),
        (("s3://user:secret@bucket/run",), "credentials"),
    ],
)
def test_bad_input_is_told_in_a_line(run_main, arguments, said):
    code, out, err = run_main("report", *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("out", ["", "."])
def test_a_folder_is_no_file_to_write(run_main, run, out):
    code, _, err = run_main("report", run, "--out", out)
    assert code == 2
    assert "is a folder" in err


def test_help_loads_nothing_heavy():
    for command in ("report", "serve"):
        script = (
            f"import sys; sys.argv = ['gtn-nas', '{command}', '--help']\n"
            "from gtn_nas.cli.main import main\n"
            "try: main()\n"
            f"finally: print([m for m in {ABSENT} if m in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
        assert done.stdout.endswith("[]\n")
