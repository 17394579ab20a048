import json
import os
import subprocess
import sys
from typing import Any

import pytest

from gtn_nas.errors import ConfigError, ResourceError
from gtn_nas.executors import connect
from gtn_nas.executors.cluster import check_fits

REFUSED = """
import http.server, json, socket, threading
from gtn_nas.errors import ClusterError
from gtn_nas.executors import connect

def message(address):
    try:
        with connect(address):
            return "connected"
    except ClusterError as error:
        return f"{error.exit_code}: {error}"

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    nobody = free.getsockname()[1]
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps([
    message(f"127.0.0.1:{nobody}"),
    message(f"127.0.0.1:{server.server_port}"),
    message("no-such-host.invalid:6379"),
]))
"""

JOIN = """
import json, sys
from gtn_nas.executors import connect
with connect(num_cpus=1):
    import ray
    cpus = ray.cluster_resources()["CPU"]
    address = ray.get_runtime_context().gcs_address
print(json.dumps([cpus, address, ray.is_initialized()]))
"""

NOT_CONNECTED = """
import json
from gtn_nas.errors import ClusterError
from gtn_nas.executors import RayExecutor
try:
    RayExecutor(dict, {})
except ClusterError as error:
    print(json.dumps(str(error)))
"""


def run(code: str, **environment: str) -> Any:
    """Run code in a process of its own and return what it printed last."""
    env = {k: v for k, v in os.environ.items() if k not in ("RAY_ADDRESS", "RAY_AUTH_MODE")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=env | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_an_address_without_a_cluster_fails_at_once() -> None:
    nobody, other, unknown = run(REFUSED)
    assert nobody.startswith("1: no Ray cluster answers at 127.0.0.1:")
    assert other.endswith("is not a Ray head node; its port is often 6379")
    assert unknown.startswith("1: no Ray cluster answers at no-such-host.invalid:6379: gaierror")


def test_a_running_cluster_is_joined_only_where_it_is_named(ray_local: None) -> None:
    import ray

    head = ray.get_runtime_context().gcs_address
    cpus, address, still_connected = run(JOIN)
    assert (cpus, still_connected) == (1, False)
    assert address != head
    assert run(JOIN, RAY_ADDRESS=head) == [2, head, False]
    assert ray.cluster_resources()["CPU"] == 2


def test_a_connection_that_is_there_is_used_and_left(ray_local: None) -> None:
    import ray

    with connect("local", num_cpus=7) as dashboard:
        assert dashboard is None
        assert ray.cluster_resources()["CPU"] == 2
    assert ray.is_initialized()


def test_without_a_connection_there_is_no_executor() -> None:
    assert run(NOT_CONNECTED).startswith("not connected to Ray")


@pytest.mark.parametrize(
    "address", ["ray://head:10001", "http://head:8265", "head", "head:port", "a:1:2", ":6379"]
)
def test_an_address_of_another_form_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="is none of HOST:PORT, auto and local"), connect(address):
        pass


def test_there_are_as_many_workers_as_asked_for_or_as_fit(ray_local: None) -> None:
    assert check_fits(1, 1, 0) == 1
    assert [check_fits(None, cpus, 0) for cpus in (2, 1, 0.5, 0.1)] == [1, 2, 4, 20]


@pytest.mark.parametrize(
    ("workers", "cpus", "gpus", "message"),
    [
        (3, 1, 0, r"3 workers with 1 CPUs \+ 0 GPUs each: .* room for 2 \(nodes: 2 CPUs \+ 0"),
        (None, 64, 0, r"a worker with 64 CPUs \+ 0 GPUs each: .* room for 0"),
        (None, 1, 0.5, r"a worker with 1 CPUs \+ 0.5 GPUs each: .* room for 0"),
    ],
)
def test_workers_that_do_not_fit_are_refused(
    ray_local: None, workers: int | None, cpus: float, gpus: float, message: str
) -> None:
    with pytest.raises(ResourceError, match=message):
        check_fits(workers, cpus, gpus)
