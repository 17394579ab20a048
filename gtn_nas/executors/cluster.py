"""Connects to a Ray cluster, and counts how many workers fit on it."""

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
"""Time limit for connecting to a head node, and again for its first answer."""

_HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""What a gRPC client sends first: the preface and an empty SETTINGS frame (RFC 9113, 3.4)."""

_SETTINGS = 4
"""Type of the frame that a gRPC server sends first."""

_SCALE = 10_000
"""Ray counts resources in ten-thousandths."""


@contextmanager
def connect(address: str | None = None, *, num_cpus: int | None = None) -> Iterator[str | None]:
    """Connect to Ray, and disconnect at the end of the context.

    The context's value is the URL of the cluster's dashboard, or ``None`` if there is none.

    The cluster is the one at ``address``, else at ``RAY_ADDRESS`` (which Ray sets in a submitted
    job), else a private one on this machine. A cluster that merely runs here is never joined. If
    this process is already connected to Ray, that connection is used and stays open, and the
    context's value is ``None``.

    Ray reads how to authenticate when it is imported. Call this before anything imports Ray, so
    that a token stored on this machine is used. Ray also replaces the handler of SIGTERM: install
    yours inside the context.

    Args:
        address: ``"HOST:PORT"`` of the head node, ``"auto"`` for the cluster on this machine, or
            ``"local"`` for a private one. Ray Client addresses (``ray://``) are refused, since
            every record would pass through Ray Client's proxy: submit a job instead.
        num_cpus: CPUs of a private cluster, by default all; ignored for an existing cluster.

    Raises:
        ClusterError: no Ray cluster answers at the address, or none could be started.
        ConfigError: the address has none of these forms, or ``num_cpus`` is not above zero.
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
    except Exception as error:  # Ray raises five built-in kinds of error here
        raise ClusterError(_refusal(target, error)) from error
    try:
        yield f"http://{context.dashboard_url}" if context.dashboard_url else None
    finally:
        ray.shutdown()


def offer_token() -> None:
    """Let Ray authenticate with the token stored on this machine, if there is one.

    It sets ``RAY_AUTH_MODE``, unless that is set already. Ray reads this variable when it is
    imported, so a later call has no effect.
    """
    if "ray" not in sys.modules and _has_token():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def check_fits(workers: int | None, cpus: float, gpus: float) -> int:
    """Return how many workers to start, after checking that they fit on the cluster.

    Args:
        workers: how many were asked for; ``None`` for as many as fit.
        cpus: CPUs of one worker.
        gpus: GPUs of one worker.

    Raises:
        ResourceError: the workers do not fit on the nodes that are alive, even if these are idle.
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
    """Return how many workers fit on some nodes if these are idle.

    Args:
        nodes: the resources of each node, by Ray's names.
        cpus: CPUs of one worker.
        gpus: GPUs of one worker.
    """
    each = {"CPU": cpus, "GPU": gpus} if gpus else {"CPU": cpus}
    return sum(
        min(int(node.get(n, 0) * _SCALE) // round(per * _SCALE) for n, per in each.items())
        for node in nodes
    )


def greeting(host: str, port: int, timeout_s: float) -> bool:
    """Return whether a gRPC server listens at an address.

    If Ray uses TLS (``RAY_USE_TLS=1``), only the connection is checked, not the protocol.

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
    """Check that a gRPC server answers, since Ray itself would keep trying for minutes.

    Raises:
        ClusterError: nothing answers, or something else than a Ray head node does.
    """
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
    """Return the size of a private cluster's object store in bytes.

    It is at most 2 GiB, and at most three quarters of the free space of /dev/shm, since Ray puts a
    store that does not fit there on the disk. Ray needs at least 150 MiB.
    """
    shared_memory = Path("/dev/shm")  # noqa: S108  (its free space is read, nothing is written)
    free = shutil.disk_usage(shared_memory).free if shared_memory.is_dir() else 2**31
    return max(min(2**31, free * 3 // 4), 150 * 2**20)
