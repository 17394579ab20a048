"""The server that runs the application until it is interrupted."""

from __future__ import annotations

import socket

import uvicorn

from gtn_nas.errors import EnvironmentFailure
from gtn_nas.viewer.app import make_app
from gtn_nas.viewer.runs import Runs

GRACE_S = 2
"""What a page that is being sent may take when the server ends."""


class Viewer:
    """Listens from the moment it is made.

    Args:
        runs: what is shown.
        host: name or address to listen on.
        port: to listen on; 0 for any free one.
        token: what visitors need, if anything.

    Raises:
        EnvironmentFailure: the host is none of this machine's, or the port is in use or forbidden.
    """

    def __init__(self, runs: Runs, host: str, port: int, token: str | None) -> None:
        self.socket = _listening(host, port)
        self.host, self.port = host, int(self.socket.getsockname()[1])
        config = uvicorn.Config(
            make_app(runs, host, self.port, token),
            access_log=False,
            lifespan="off",
            log_level="warning",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
            ws="none",
        )
        self._server = uvicorn.Server(config)

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}/"

    def run(self) -> None:
        """Serve until Ctrl-C, SIGTERM or ``stop``.

        Raises:
            KeyboardInterrupt: it was Ctrl-C.
        """
        self._server.run(sockets=[self.socket])

    def stop(self) -> None:
        """Let ``run`` return soon; callable from another thread."""
        self._server.should_exit = True


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise EnvironmentFailure(
            f"cannot listen on {host}, port {port}: {error.strerror}; choose another --host or "
            "--port"
        ) from error
