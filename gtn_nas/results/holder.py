"""The process that writes a run, as its lock file names it."""

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
        host: name of the process's machine; empty if an older version wrote the lock without it.
        pid: the process's number on that machine.
    """

    host: str = ""
    pid: int | None = None

    @classmethod
    def this_process(cls) -> Holder:
        """Return the holder that stands for the current process."""
        return cls(socket.gethostname(), os.getpid())

    @classmethod
    def from_json(cls, text: bytes) -> Holder:
        """Read a holder from JSON; if the text is not valid, return one with the defaults."""
        with suppress(ValueError, TypeError, KeyError):
            found = json.loads(text)
            return cls(str(found["host"]), int(found["pid"]))
        return cls()

    def to_json(self) -> bytes:
        """Return the holder as JSON."""
        return json.dumps(asdict(self)).encode()

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" if self.host else "another process"
