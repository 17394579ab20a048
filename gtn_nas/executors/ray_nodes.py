"""Watches the nodes of a Ray cluster during a run: their room for workers, and which are lost."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from threading import Event, Thread
from typing import Any

import ray

from gtn_nas.executors.cluster import greeting, room_on

LOOK_EVERY_S = 3.0
"""Seconds between two checks of the nodes."""

GREETING_S = 5.0
"""How long a node may take to answer."""

MISSES = 3
"""A node that does not answer so many times in a row counts as lost, after 9 to 24 seconds."""

HEAD_S = 30.0
"""How long the head may take to answer; after 60 s Ray ends this process without a message."""


class NodeWatch:
    """Watches the nodes of the cluster, in a thread of its own.

    Ray takes up to 65 s to notice that a node has stopped answering, and its own calls block while
    the head does not answer. So this thread connects to the raylet's port of each node every few
    seconds. A node that has never answered is not counted as lost: a firewall may be in between.

    Args:
        cpus: CPUs of one worker.
        gpus: GPUs of one worker.

    Attributes:
        room: how many such workers fit on the nodes that are alive, if these are idle.
    """

    def __init__(self, cpus: float, gpus: float) -> None:
        self.room = 0
        self._size = cpus, gpus
        self._own = ray.get_runtime_context().get_node_id()
        self._dead: set[str] = set()
        self._heard: dict[str, float] = {}  # when a node answered last, on the monotonic clock
        self._missed: dict[str, int] = {}
        self._asking_since = math.inf
        self._due, self._told, self._stopped = (Event() for _ in range(3))
        self._thread: Thread | None = None

    def start(self) -> None:
        """Ask the head once, then start the thread; further calls do nothing."""
        if self._thread is not None:
            return
        self._stopped.clear()
        self._ask_head()
        self._thread = Thread(target=self._run, name="node-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        if self._thread is not None:
            self._stopped.set()
            self._due.set()
            self._thread.join(1.0)  # it may still wait for a node, but makes no further Ray call
            self._thread = None

    def is_lost(self, node_id: str) -> bool:
        """Tell whether a node is known to be dead or has stopped answering."""
        return node_id in self._dead or self._missed.get(node_id, 0) >= MISSES

    def heard_at(self, node_id: str) -> float:
        """Return when a node last answered, on the monotonic clock.

        This is infinity for a node that is not watched: this process's own node, or a node that has
        never answered.
        """
        return self._heard.get(node_id, math.inf)

    def head_is_silent(self) -> bool:
        """Tell whether the head has not answered a call for too long."""
        return time.monotonic() - self._asking_since > HEAD_S

    def refresh(self) -> None:
        """Wait, at most ``GREETING_S``, until the head has told again which nodes are alive."""
        self._told.clear()
        self._due.set()
        self._told.wait(GREETING_S)

    def _run(self) -> None:
        while not self._stopped.is_set() and ray.is_initialized():
            with suppress(Exception):  # Ray raises many kinds while a head fails; try again later
                others = [node for node in self._ask_head() if node["NodeID"] != self._own]
                greeters = [Thread(target=self._greet, args=[n], daemon=True) for n in others]
                for greeter in greeters:
                    greeter.start()
                for greeter in greeters:
                    greeter.join()
            self._due.wait(LOOK_EVERY_S)
            self._due.clear()

    def _ask_head(self) -> list[dict[str, Any]]:
        """Ask the head which nodes are alive; remember and return them."""
        self._asking_since = min(self._asking_since, time.monotonic())
        nodes = ray.nodes()
        self._asking_since = math.inf
        self._dead = {node["NodeID"] for node in nodes if not node["Alive"]}
        alive = [node for node in nodes if node["Alive"]]
        self.room = room_on([node["Resources"] for node in alive], *self._size)
        self._told.set()
        return alive

    def _greet(self, node: dict[str, Any]) -> None:
        """Connect to a node, and remember whether it answered."""
        node_id, answers = node["NodeID"], False
        with suppress(OSError):
            answers = greeting(node["NodeManagerAddress"], node["NodeManagerPort"], GREETING_S)
        if answers:
            self._heard[node_id], self._missed[node_id] = time.monotonic(), 0
        elif node_id in self._heard:
            self._missed[node_id] += 1
