"""The way to a server, which a test can shut and open again; and time that passes at its word."""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Callable
from typing import Self


class Gate:
    """A proxy on a port of its own, in front of a server of this machine.

    Args:
        server: the server's port.
    """

    def __init__(self, server: int) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._through: set[socket.socket] = set()
        self._refusals: float = 0
        self.refused = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def shut(self, refusals: float = float("inf")) -> None:
        """Cut every connection, and refuse all new ones, or so many of them."""
        with self._lock:
            self._refusals = refusals
            for end in self._through:
                _reset(end)

    def open(self) -> None:
        """Let everyone through again."""
        self._refusals = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.shut()
        self._listener.shutdown(socket.SHUT_RDWR)  # ends accept()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._server)) as server:
            with self._lock:
                if self._refusals > 0:
                    self._refusals -= 1
                    self.refused += 1
                    _reset(client)
                    return
                self._through.add(client)
            try:
                _pump(client, server)
            except OSError:
                pass  # it was cut
            finally:
                with self._lock:
                    self._through.discard(client)


def _pump(client: socket.socket, server: socket.socket) -> None:
    other = {client: server, server: client}
    while True:
        for end in select.select(list(other), [], [])[0]:
            data = end.recv(65536)
            if not data:
                return
            other[end].sendall(data)


def _reset(end: socket.socket) -> None:
    """End a connection at once, as a machine that went away does."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.shutdown(socket.SHUT_RDWR)


class Time:
    """Time that passes while someone pauses, and does not otherwise.

    Args:
        meanwhile: what happens in the first pause, the second, and so on.
    """

    def __init__(self, *meanwhile: Callable[[], object]) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        self.meanwhile = list(meanwhile)

    def clock(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)
        if self.meanwhile:
            self.meanwhile.pop(0)()
