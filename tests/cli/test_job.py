"""``gtn-nas job`` as a person meets it, and a real cluster that asks for a token."""

import http.client
import json
import os
import re
import socket
import subprocess
import sys

import pytest

from gtn_nas.cli.job import parsed
from gtn_nas.config.pretrain import PretrainConfig
from gtn_nas.config.search import SearchConfig
from gtn_nas.config.validate import ValidateConfig
from gtn_nas.results.query import load_run

from ..ray_head import RayHead
from ..user_spaces import write_space

MAIN = [sys.executable, "-c", "from gtn_nas.cli.main import main; main()"]
SECRET = {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN"}

# the command line of what is submitted


def test_a_command_is_read_as_it_would_be_itself(tmp_path):
    (tmp_path / "my.yaml").write_text("candidates: 50\nspace: nao_cells\n")
    words = ["search", "--config", f"{tmp_path}/my.yaml", "--candidates", "70", "--resume"]
    command = parsed([*words, "--limit", "params<=9", "--limit", "flops<=8", "--predictor"])
    assert (command.name, command.kind, command.flags) == ("search", SearchConfig, ("--resume",))
    goals = {"limits": ["params<=9", "flops<=8"], "predictor": True}
    assert command.settings == {"candidates": 70, "space": "nao_cells"} | goals


def test_options_that_are_no_settings_are_flags():
    command = parsed(["validate-proxy", "--into-teacher", "--resume-or-start", "--out", "/run"])
    assert command.kind is ValidateConfig
    assert command.flags == ("--into-teacher", "--resume-or-start")
    assert command.settings == {"out": "/run"}
    command = parsed(["pretrain", "--hard-labels", "--no-augment"])
    assert (command.kind, command.flags) == (PretrainConfig, ())
    assert command.settings == {"soft_labels": False, "augment": False}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sarch"], "No such command 'sarch'. Did you mean 'search'?"),
        (["query"], "No such command 'query'."),
        (["search", "--candidats", "9"], "No such option: --candidats"),
        (["search", "--candidates", "few"], "Invalid value for '--candidates'"),
        (["search", "--wait"], "No such option: --wait"),
        (["search", "--config", "nowhere.yaml"], "cannot read configuration nowhere.yaml"),
        (["search", "--out", "/run", "--candidates", "0"], "candidates: input should be greater"),
        (["search", "--out", "/run", "--dataset", "cifar"], "unknown data set 'cifar'"),
        (["search", "--out", "/run", "--strategy", "randon"], "unknown strategy 'randon'; did"),
        (["search", "--out", "/run", "--executor", "rey"], "unknown executor 'rey'; did you mean"),
        (["search"], "a job needs a place for its results"),
    ],
)
def test_a_mistake_is_told_before_anything_is_sent(run_main, words, said):
    for dashes in ([], ["--"]):
        code, out, err = run_main("job", "submit", *dashes, *words)
        assert (code, out) == (2, "")
        assert err.startswith("error: ")
        assert said in err
        assert err.count("\n") == 1


def test_a_commands_help_is_there_too(run_main):
    code, out, _ = run_main("job", "submit", "--", "pretrain", "--help")
    assert code == 0
    assert "--meta-iterations" in out


# where nothing answers


def nobody() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


@pytest.mark.parametrize("command", [["list"], ["status", "x"], ["logs", "x"], ["stop", "x"]])
def test_a_wrong_address_is_told_in_a_line(run_main, command):
    code, out, err = run_main("job", *command, "--address", f"http://{nobody()}")
    assert (code, out) == (1, "")
    assert err.startswith("error: no Ray dashboard answers at http://127.0.0.1:")
    assert err.count("\n") == 1


def test_the_address_may_stand_in_the_environment(run_main, monkeypatch):
    there = nobody()
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", there)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    code, _, err = run_main("job", "submit", "search", "--out", "/run")
    assert code == 1
    assert f"at http://{there}: " in err


# on a cluster


def job(head: RayHead, *arguments: object, **change: str) -> subprocess.CompletedProcess[str]:
    """Run a job command with the cluster's token, or with what is given instead."""
    command = [*MAIN, "job", *map(str, arguments)]
    environment = head.environment | {"RAY_API_SERVER_ADDRESS": head.address} | change
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def listed_with(head: RayHead, token: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {n: v for n, v in head.environment.items() if n not in SECRET} | token
    command = [*MAIN, "job", "list", "--address", head.address]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_without_the_token_one_is_told_so_in_a_line(head, tmp_path):
    asks = f"error: the cluster at {head.address} asks for a token: set RAY_AUTH_MODE=token, and "
    refused = [
        ({}, asks),
        ({"RAY_AUTH_MODE": "token"}, asks),
        ({"RAY_AUTH_TOKEN": "00"}, "error: the cluster at .* refuses the token"),
        ({"RAY_AUTH_TOKEN_PATH": "/none"}, "error: RAY_AUTH_TOKEN_PATH names '/none', which"),
    ]
    for token, said in refused:
        done = listed_with(head, token)
        assert (done.returncode, done.stdout) == (1, "")
        assert re.match(said, done.stderr)
        assert done.stderr.count("\n") == 1
    (tmp_path / "token").write_text(f"{head.token}\n")
    done = listed_with(head, {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")})
    assert (done.returncode, done.stderr) == (0, "")
    assert head.token not in done.stdout


@pytest.mark.slow
def test_a_search_of_ones_own_space_and_teacher_is_shown_and_ends_as_it_ends(
    head, tiny_teacher, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lab").mkdir()
    write_space(tmp_path / "lab", "job_space", "relu", "fail")
    (tmp_path / "lab" / "unrelated.txt").touch()
    (tmp_path / "private.txt").touch()
    out = tmp_path / "its 'own' run"
    options = ["--teacher", tiny_teacher, "--candidates", 16, "--top-k", 1, "--final-epochs", 2]
    goal = ["--limit", "params<=100000", "--rank-by", "jacob_cov*params", "--out", out]
    command = ["search", "--space", "lab.job_space:Linear", *options, *goal]
    done = job(head, "submit", "--wait", "--", *command)
    assert done.returncode == 0, done.stdout + done.stderr
    name, *shown = done.stdout.splitlines()
    assert "candidates: 16/16" in done.stdout
    assert f"run folder: {out}" in shown
    assert "weights of the winner:" in done.stdout
    assert f"follow it: gtn-nas job logs --follow {name}" in done.stderr
    assert re.search(rf"^{name}: SUCCEEDED after \d+ s$", done.stderr, re.MULTILINE)
    assert {r["status"] for r in load_run(out).query()} == {"ok", "failed"}
    assert joined_the_cluster(head, name)
    listed = job(head, "list").stdout
    assert re.search(rf"{name} +SUCCEEDED .* search --space lab.job_space:Linear --teacher", listed)
    assert "SUCCEEDED" in job(head, "status", name).stdout
    assert job(head, "logs", name).stdout in done.stdout
    assert "had ended already" in job(head, "stop", name).stdout
    again = job(head, "submit", "--wait", "--", *command)
    assert again.returncode == 2
    assert "holds a run already" in again.stdout
    said = job(head, "status", again.stdout.splitlines()[0]).stdout
    assert "FAILED with exit code 2" in said
    assert "holds a run already" in said


def joined_the_cluster(head: RayHead, name: str) -> bool:
    """Tell whether a job's command connected to the cluster, instead of starting one of its own."""
    connection = http.client.HTTPConnection(head.address.removeprefix("http://"))
    token = {"Authorization": f"Bearer {head.token}"}
    connection.request("GET", f"/api/jobs/{name}", headers=token)
    return json.load(connection.getresponse())["job_id"] is not None


@pytest.mark.slow
def test_a_stopped_search_ends_in_order_and_goes_on_where_it_was(head, tiny_teacher, tmp_path):
    out = tmp_path / "run"
    search = ["search", "--teacher", tiny_teacher, "--top-k", 0, "--out", out, "--resume-or-start"]
    first = job(head, "submit", "--", *search, "--candidates", 100_000)
    name = first.stdout.strip()
    follow = [*MAIN, "job", "logs", "--follow", "--address", head.address, name]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(follow, env=head.environment, **pipes) as following:
        said = ""
        while not re.search(r"candidates: [1-9]", said):
            line = following.stdout.readline()
            assert line, said
            said += line
        assert "asked to end" in job(head, "stop", name).stdout
        rest, state = following.communicate()
    assert following.returncode == 1
    assert f"{name}: STOPPED" in state
    assert f"--resume --out {out}" in rest
    assert rest.endswith("error: terminated\n")
    before = {row["key"] for row in load_run(out).query()}
    assert before
    done = job(head, "submit", "--wait", "--", *search, "--candidates", len(before) + 3)
    assert done.returncode == 0, done.stdout + done.stderr
    after = [row["key"] for row in load_run(out).query()]
    assert len(after) == len(set(after)) >= len(before) + 3
    assert before <= set(after)


@pytest.mark.slow
def test_what_is_missing_on_the_cluster_is_refused_by_name(head, tmp_path):
    out, photos = tmp_path / "run", tmp_path / "photos"
    command = ["search", "--dataset", f"folder:{photos}", "--out", out]
    done = job(head, "submit", "--wait", "--", *command)
    assert done.returncode == 2
    machine = socket.gethostname()
    said = f"error: dataset: there is no '{photos}' on this machine ({machine})"
    assert done.stdout.splitlines()[-1] == said
    assert not out.exists()


@pytest.mark.slow
def test_an_unknown_job_is_bad_input(head):
    for command in ("status", "logs", "stop"):
        done = job(head, command, "raysubmit_none")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("error: unknown job 'raysubmit_none'; ")
        assert done.stderr.count("\n") == 1
    assert job(head, "logs", "--follow", "raysubmit_none").returncode == 2


@pytest.mark.slow
def test_a_reader_of_a_log_may_go_away(head):
    done = job(head, "submit", "--wait", "--", "search", "--dataset", "folder:/none", "--out", "/x")
    name = done.stdout.splitlines()[0]
    reader, writer = os.pipe()
    os.close(reader)
    command = [*MAIN, "job", "logs", "--follow", "--address", head.address, name]
    environment = head.environment
    ended = subprocess.run(command, env=environment, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, b"")
