"""A head node of Ray with a dashboard and a token, as an operator starts one, on this machine."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class RayHead:
    """A running head node.

    Attributes:
        address: of its dashboard.
        token: what it asks for.
        environment: of a client that has the token, and of no other Ray.
    """

    address: str
    token: str = field(repr=False)
    environment: dict[str, str] = field(repr=False)


@contextmanager
def ray_head(cpus: int = 2) -> Iterator[RayHead]:
    """Start a head node, and end every process of it afterwards."""
    token = secrets.token_hex(32)
    # The path of a socket has room for about a hundred letters.
    home = Path(tempfile.mkdtemp(prefix="gtn"))
    port, dashboard, agent, client = free_ports(4)
    plain = {n: v for n, v in os.environ.items() if not n.startswith("RAY_")}
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    token_set = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
    # Ray's workers give way to all else, which on a busy machine means that they stand still.
    own = {"PATH": tools, "HOME": str(home), "RAY_worker_niceness": "0"}
    environment = plain | token_set | own
    command = [
        *("ray", "start", "--head", "--disable-usage-stats", f"--num-cpus={cpus}"),
        *(f"--port={port}", f"--dashboard-port={dashboard}", f"--temp-dir={home / 'ray'}"),
        *(f"--dashboard-agent-listen-port={agent}", f"--ray-client-server-port={client}"),
        *("--include-dashboard=true", f"--object-store-memory={150 * 2**20}"),
    ]
    # Whatever ends the tests, even SIGKILL, closes the guard's input.
    watch = [sys.executable, "-m", __name__, str(home)]
    with subprocess.Popen(watch, stdin=subprocess.PIPE, cwd=ROOT, start_new_session=True):
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
        yield RayHead(f"http://127.0.0.1:{dashboard}", token, environment)


def end_all(home: Path) -> None:
    """End every process that was started, by whichever ways, with a home folder of its own."""
    while found := [p for p in psutil.process_iter() if _lives_in(p, home)]:
        for process in found:
            process.kill()
        psutil.wait_procs(found)


def _lives_in(process: psutil.Process, home: Path) -> bool:
    try:
        return process.environ().get("HOME") == str(home)
    except psutil.Error:
        return False


def free_ports(count: int) -> list[int]:
    """Return ports of this machine that nobody listens on."""
    taken = [socket.socket() for _ in range(count)]
    for place in taken:
        place.bind(("127.0.0.1", 0))
    ports = [place.getsockname()[1] for place in taken]
    for place in taken:
        place.close()
    return ports


def guard(home: Path) -> None:
    """Wait until standard input is closed, then end what lives in a home folder, and remove it."""
    sys.stdin.read()
    end_all(home)
    shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    guard(Path(sys.argv[1]))
