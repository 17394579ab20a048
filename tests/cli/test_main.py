import os
import subprocess
import sys
from pathlib import Path

import pytest

from gtn_nas.results.store import RunStore

from ..results.samples import record

ROOT = Path(__file__).resolve().parents[2]
READERS = ["query", "status", "compare", "compact"]
COMMANDS = [
    "search",
    "pretrain",
    "validate-proxy",
    "job",
    *READERS,
    "report",
    "serve",
    "export",
    "spaces",
    "datasets",
    "teachers",
]
MAIN = "from gtn_nas.cli.main import main; main()"
PLAIN = os.environ | {"TERM": "dumb", "COLUMNS": "100"}


def gtn_nas(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", MAIN, *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.run(command, text=True, check=False, cwd=ROOT, env=PLAIN, **pipes | options)


@pytest.fixture
def run(tmp_path):
    with RunStore.create(tmp_path / "run", "seed: 0\n") as store:
        store.append_candidates(record(i) for i in range(500))
    return tmp_path / "run"


def test_help_names_every_command():
    done = gtn_nas("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(f" {command} " in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    done = gtn_nas(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f" {command} [OPTIONS]" in done.stdout


def test_help_tells_the_defaults():
    assert "[default: full]" in gtn_nas("pretrain", "--help").stdout


def test_without_a_command_there_is_help():
    done = gtn_nas()
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.strip() == gtn_nas("--help").stdout.strip()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sarch"], "No such command 'sarch'. Did you mean 'search'?"),
        (["--nowhere"], "No such option: --nowhere"),
        (["spaces", "conv_chain"], "unexpected extra argument"),
        (["query"], "Missing argument"),
        (["query", "nowhere"], "there is no run folder nowhere"),
        (["query", "nowhere", "--top", "ten"], "Invalid value for '--top'"),
        (["pretrain", "--batch_size", "10"], "No such option: --batch_size"),
        (["pretrain", "--batch-size"], "Option '--batch-size' requires an argument"),
        (["pretrain", "--batch-size", "ten"], "Invalid value for '--batch-size'"),
        (["pretrain", "--config", "nowhere.yaml"], "cannot read configuration nowhere.yaml"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments, said):
    done = gtn_nas(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


def test_a_reader_that_goes_away_is_no_error_to_tell(run):
    reader, writer = os.pipe()
    os.close(reader)
    done = gtn_nas("query", run, "--format", "csv", stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


# what a command loads

LOADED = """
import sys
from gtn_nas.cli.main import main
try:
    main()
finally:
    heavy = {"torch", "torchvision", "ray", "pandas", "scipy", "sklearn"}
    print(sorted(heavy & set(sys.modules)), file=sys.stderr)
"""


def loaded(*arguments: object) -> str:
    command = [sys.executable, "-c", LOADED, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout
    return done.stderr


@pytest.mark.parametrize("command", [[], *([command] for command in COMMANDS)], ids=" ".join)
def test_help_loads_nothing_heavy(command):
    assert loaded(*command, "--help") == "[]\n"


@pytest.mark.parametrize("arguments", [["--help"], ["query", "--help"], ["spaces"]], ids=" ".join)
def test_the_options_of_other_commands_are_not_made(arguments):
    command = [sys.executable, "-X", "importtime", "-c", MAIN, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert "gtn_nas.cli.search" in done.stderr
    assert "gtn_nas.config.search" not in done.stderr


@pytest.mark.parametrize("command", ["status", "query"])
def test_a_look_at_a_run_loads_nothing_heavy(run, command):
    assert loaded(command, run) == "[]\n"


@pytest.mark.parametrize("command", ["spaces", "datasets", "teachers"])
def test_a_list_loads_nothing_heavy(command):
    assert loaded(command) == "[]\n"


@pytest.mark.parametrize("format", ["table", "csv", "json"])
def test_a_query_loads_nothing_heavy(run, format):
    assert loaded("query", run, "--format", format) == "[]\n"
