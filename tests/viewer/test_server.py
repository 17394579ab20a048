import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from gtn_nas.errors import EnvironmentFailure
from gtn_nas.viewer.server import Viewer

from .serving import serving

COMMAND = [sys.executable, "-c", "from gtn_nas.cli.main import main; main()", "serve"]


def started(*arguments: object, **environment: str) -> tuple[subprocess.Popen[str], str]:
    """The command as a process, once it listens, and its first line."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
    )
    assert process.stdout is not None
    return process, process.stdout.readline()


def test_it_answers(runs):
    with serving(runs) as url:
        assert httpx.get(f"{url}runs/first/data.json").json()["table"]["count"] == 3
        assert httpx.get(url, headers={"Host": "evil.example"}).status_code == 421


def test_a_port_in_use_is_told(runs):
    first = Viewer(runs, "127.0.0.1", 0, None)
    with pytest.raises(EnvironmentFailure, match="--port"):
        Viewer(runs, "127.0.0.1", first.port, None)
    first.socket.close()


def test_a_host_that_is_not_there_is_told(runs):
    with pytest.raises(EnvironmentFailure, match=r"nowhere\.invalid"):
        Viewer(runs, "nowhere.invalid", 0, None)


def test_ctrl_c_ends_it_without_a_word_of_complaint(folder):
    process, line = started(folder)
    url = re.search(r"http://\S+", line)
    assert url is not None
    assert httpx.get(url[0]).status_code == 200
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output, errors) == (0, "stopped\n", "")


def test_for_others_it_makes_up_a_token_and_prints_it(folder):
    process, line = started(folder, "--host", "0.0.0.0", GTN_NAS_TOKEN="")  # noqa: S104
    port = re.search(r":(\d+)/", line)
    assert port is not None
    assert process.stdout is not None
    token = process.stdout.readline().removeprefix("token for signing in: ").strip()
    url = f"http://127.0.0.1:{port[1]}/"
    bearer = {"Authorization": f"Bearer {token}"}
    answers = httpx.get(url).status_code, httpx.get(url, headers=bearer).status_code
    process.terminate()
    process.communicate(timeout=30)
    assert answers == (401, 200)


def test_bad_input_is_told_in_a_line(tmp_path: Path):
    done = subprocess.run(
        [*COMMAND, str(tmp_path / "none")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: there is no folder {tmp_path / 'none'}\n"
