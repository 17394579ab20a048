"""Which Ray cluster is used, and how many workers fit on it."""

from __future__ import annotations

import logging
import os
import re
import shutil
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gtn_nas.errors import ClusterError, ConfigError, ResourceError, one_line
from gtn_nas.executors.base import require_positive

_REACH_S = 7.0
"""How long a head node may take to be reached, and again to answer the first bytes."""

_HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""What a gRPC client sends first: the preface and an empty SETTINGS frame (RFC 9113, 3.4)."""

_SETTINGS = 4
"""Type of the frame that a gRPC server sends first."""

_SCALE = 10_000
"""Ray counts resources in ten-thousandths."""


@contextmanager
def connect(address: str | None = None, *, num_cpus: int | None = None) -> Iterator[str | None]:
    """Be connected to Ray; leave it afterwards if it was this call that connected.

    The context's value is the address of the cluster's dashboard, if this call found one.

    The cluster is the one at ``address``, else at ``RAY_ADDRESS`` (which Ray sets in a submitted
    job), else a private one on this machine: no cluster is joined because it happens to run.
    Where Ray is connected already, that connection is used and left alone.

    Ray reads how to authenticate when it is imported: call this before anything imports it, and a
    token kept on this machine is used. Ray also replaces the handler of SIGTERM: install yours
    inside the context.

    Args:
        address: ``"HOST:PORT"`` of the head node, ``"auto"`` for the cluster on this machine, or
            ``"local"`` for a private one. Ray Client addresses (``ray://``) are refused, since
            every record would pass a proxy: submit a job instead.
        num_cpus: CPUs of a private cluster, all by default; an existing cluster has its own.

    Raises:
        ClusterError: no Ray cluster answers at the address, or none could be started.
        ConfigError: the address has another form, or ``num_cpus`` is not above zero.
    """
    require_positive(num_cpus=num_cpus)
    target = address or os.environ.get("RAY_ADDRESS") or "local"
    head = None if target in ("local", "auto") else _host_and_port(target)
    if head:
        offer_token()
    import ray

    if ray.is_initialized():
        yield None
        return
    if head:
        _check_answers(target, *head)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if target == "local":
        options |= {"num_cpus": num_cpus, "include_dashboard": False}
        options |= {"object_store_memory": _object_store_bytes()}
    try:
        context = ray.init(address=target, **options)
    except Exception as error:  # Ray raises five kinds here, none of them its own
        raise ClusterError(_refusal(target, error)) from error
    try:
        yield f"http://{context.dashboard_url}" if context.dashboard_url else None
    finally:
        ray.shutdown()


def offer_token() -> None:
    """Let Ray authenticate by the token that is kept on this machine, if there is one.

    Ray reads how to when it is imported, so this has an effect before that only. What
    ``RAY_AUTH_MODE`` says already stays.
    """
    if "ray" not in sys.modules and _has_token():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def check_fits(workers: int | None, cpus: float, gpus: float) -> int:
    """Return how many workers to start: as many as were asked for, or as many as fit.

    Args:
        workers: how many were asked for; ``None`` for as many as fit.
        cpus: CPUs of one worker.
        gpus: GPUs of one worker.

    Raises:
        ResourceError: the nodes that are alive have no room for them, even when idle.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    room = room_on(nodes, cpus, gpus)
    if room and (workers or 1) <= room:
        return workers or room
    asked = "a worker" if workers is None else f"{workers} workers"
    sizes = sorted(((n.get("CPU", 0), n.get("GPU", 0)) for n in nodes), reverse=True)
    there = ", ".join(f"{c:g} CPUs + {g:g} GPUs" for c, g in sizes[:4])
    more = f" and {len(sizes) - 4} smaller nodes" if len(sizes) > 4 else ""
    raise ResourceError(
        f"{asked} with {cpus:g} CPUs + {gpus:g} GPUs each: the cluster has room for {room} "
        f"(nodes: {there}{more}); ask for fewer or smaller workers, or start more nodes"
    )


def room_on(nodes: Iterable[Mapping[str, float]], cpus: float, gpus: float) -> int:
    """Return how many workers of a size fit on nodes with these resources, when those are idle."""
    each = {"CPU": cpus, "GPU": gpus} if gpus else {"CPU": cpus}
    return sum(
        min(int(node.get(n, 0) * _SCALE) // round(per * _SCALE) for n, per in each.items())
        for node in nodes
    )


def greeting(host: str, port: int, timeout_s: float) -> bool:
    """Return whether what listens speaks as a gRPC server does; with TLS, whether it listens.

    Raises:
        OSError: nothing answers.
    """
    with socket.create_connection((host, port), timeout=timeout_s) as connection:
        if os.environ.get("RAY_USE_TLS", "0") == "1":
            return True
        connection.sendall(_HTTP2_HELLO)
        answer = connection.makefile("rb").read(4)
    return len(answer) == 4 and answer[3] == _SETTINGS


def _host_and_port(address: str) -> tuple[str, int]:
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.%]+)\]|([^\s:/@\[\]]+)):(\d{1,5})", address)
    if match is None:
        raise ConfigError(
            f"Ray address {address!r} is none of HOST:PORT, auto and local (a dashboard's http:// "
            "and Ray Client's ray:// do not serve here; PORT is the head node's, often 6379)"
        )
    return match[1] or match[2], int(match[3])


def _check_answers(address: str, host: str, port: int) -> None:
    """Fail fast where no gRPC server listens; Ray itself would try for minutes."""
    try:
        is_head = greeting(host, port, _REACH_S)
    except (OSError, OverflowError) as error:
        raise ClusterError(f"no Ray cluster answers at {address}: {one_line(error)}") from error
    if not is_head:
        raise ClusterError(
            f"what listens at {address} is not a Ray head node; its port is often 6379"
        )


def _refusal(target: str, error: Exception) -> str:
    if target == "local":
        return f"no private Ray could be started: {one_line(error)}"
    hint = (
        ""
        if os.environ.get("RAY_AUTH_MODE") == "token"
        else "; if the cluster asks for a token, set RAY_AUTH_MODE=token"
    )
    return f"no Ray cluster could be joined at {target}: {one_line(error)}{hint}"


def _has_token() -> bool:
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        return True
    return (Path.home() / ".ray" / "auth_token").is_file()


def _object_store_bytes() -> int:
    """Return the size of a private object store: at most 2 GiB, and what /dev/shm has room for.

    Ray moves a store that does not fit there to the disk.
    """
    shared_memory = Path("/dev/shm")  # noqa: S108  (its free space is read, nothing is written)
    free = shutil.disk_usage(shared_memory).free if shared_memory.is_dir() else 2**31
    return max(min(2**31, free * 3 // 4), 150 * 2**20)
