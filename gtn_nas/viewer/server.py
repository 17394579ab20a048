"""The web server that runs the viewer's application until it is interrupted."""

from __future__ import annotations

import socket

import uvicorn

from gtn_nas.errors import EnvironmentFailure
from gtn_nas.viewer.app import make_app
from gtn_nas.viewer.runs import RunCatalogue

GRACE_S = 2
"""Time that pages being sent have left when the server stops."""


class Viewer:
    """The viewer's web server; it listens from its creation on.

    Args:
        runs: the runs to show.
        host: name or address to listen on.
        port: port to listen on; 0 for any free one.
        token: the token that visitors need; ``None`` if they need none.

    Raises:
        EnvironmentFailure: the host is not an address of this machine, or the port is in use or
            forbidden.
    """

    def __init__(self, runs: RunCatalogue, host: str, port: int, token: str | None) -> None:
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
        """The address to open in a browser."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}/"

    def run(self) -> None:
        """Serve until Ctrl-C, SIGTERM or ``stop``.

        Raises:
            KeyboardInterrupt: the server was stopped by Ctrl-C.
        """
        self._server.run(sockets=[self.socket])

    def stop(self) -> None:
        """Make ``run`` return soon; this can be called from another thread."""
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
