"""A viewer that listens in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from gtn_nas.viewer.runs import RunCatalogue
from gtn_nas.viewer.server import Viewer


@contextmanager
def serving(runs: RunCatalogue, token: str | None = None) -> Iterator[str]:
    """Yield the address of a viewer."""
    viewer = Viewer(runs, "127.0.0.1", 0, token)
    thread = threading.Thread(target=viewer.run)
    thread.start()
    try:
        yield viewer.url
    finally:
        viewer.stop()
        thread.join()
