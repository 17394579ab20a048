"""The Slurm script, with stand-ins for what Slurm brings, on one machine."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from gtn_nas.results.query import load_run

from ..ray_head import end_all, free_ports

SCRIPT = Path(__file__).resolve().parents[2] / "cluster" / "slurm.sh"
STANDS_IN = {
    # Options of srun end where the program begins. A node of one machine needs ports of its own.
    "srun": """
while [[ $1 == --* ]]; do shift; done
exec "$@" --object-store-memory=100000000
""",
    "scontrol": """
if [ "$1" = requeue ]; then echo "$2" > "$HOME/requeued"; else echo localhost; fi
""",
}


@pytest.fixture
def slurm():
    """The environment of a job on one node, and where its home is."""
    # The path of a socket has room for about a hundred letters.
    home = Path(tempfile.mkdtemp(prefix="gtn"))
    for name, text in STANDS_IN.items():
        (home / name).write_text(f"#!/bin/bash{text}")
        (home / name).chmod(0o755)
    number = str(free_ports(1)[0])
    tools = f"{home}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    plain = {n: v for n, v in os.environ.items() if not n.startswith("RAY_")}
    own = {"PATH": tools, "HOME": str(home), "RAY_worker_niceness": "0"}
    job = {"SLURM_JOB_ID": number, "SLURM_JOB_NODELIST": "localhost", "SLURM_CPUS_PER_TASK": "2"}
    yield plain | own | job
    end_all(home)
    for folder in (home, Path(tempfile.gettempdir(), f"gtn-nas-{number}")):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_a_job_searches_ends_in_time_is_queued_again_and_goes_on(slurm, tiny_teacher, tmp_path):
    out = tmp_path / "a run"
    command = ["bash", SCRIPT, "--teacher", tiny_teacher, "--top-k", "0", "--out", out]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen([*command, "--candidates", "100000"], env=slurm, **pipes) as job:
        said = ""
        while " best " not in said:
            line = job.stdout.readline()
            assert line, said
            said += line
        job.send_signal(signal.SIGTERM)
        said += job.communicate()[0]
    assert job.returncode == 143, said
    assert (Path(slurm["HOME"]) / "requeued").read_text().strip() == slurm["SLURM_JOB_ID"]
    before = len(load_run(out).query())
    more = [*command, "--candidates", str(before + 3)]
    done = subprocess.run(more, env=slurm, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(load_run(out).query()) >= before + 3
