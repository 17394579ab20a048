"""Who writes a run."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Holder:
    """The process that holds the lock of a run folder.

    Attributes:
        host: name of its machine; empty where an older version did not leave one.
        pid: its process there.
    """

    host: str = ""
    pid: int | None = None

    @classmethod
    def this_process(cls) -> Holder:
        """Return this process."""
        return cls(socket.gethostname(), os.getpid())

    @classmethod
    def from_json(cls, text: bytes) -> Holder:
        """Read what ``to_json`` wrote; anyone may have written it."""
        with suppress(ValueError, TypeError, KeyError):
            found = json.loads(text)
            return cls(str(found["host"]), int(found["pid"]))
        return cls()

    def to_json(self) -> bytes:
        """Return it as JSON."""
        return json.dumps(asdict(self)).encode()

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" if self.host else "another process"
