"""What a run knows of its cluster's nodes while it goes on: their room, and who fell silent."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from threading import Event, Thread
from typing import Any

import ray

from gtn_nas.executors.cluster import greeting, room_on

LOOK_EVERY_S = 3.0
"""Seconds between two looks at the nodes."""

GREETING_S = 5.0
"""How long a node may take to answer."""

MISSES = 3
"""A node that misses so many greetings in a row is given up: after 9 to 24 seconds."""

HEAD_S = 30.0
"""How long the head may take to answer; after 60 s Ray ends this process without a word."""


class NodeWatch:
    """Looks after the nodes of the cluster, in a thread of its own.

    Ray takes up to 65 s to find that a node answers no more, and its own calls wait for a head that
    is gone. So each node is greeted now and then by its raylet's port. A node that never answered
    is not judged by that: something may stand between.

    Args:
        cpus: CPUs of one worker, of which ``room`` tells how many fit.
        gpus: GPUs of one worker.

    Attributes:
        room: workers that fit on the nodes that are alive, when those are idle.
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
        """Look once, and go on looking; harmless when repeated."""
        if self._thread is not None:
            return
        self._stopped.clear()
        self._ask_head()
        self._thread = Thread(target=self._run, name="node-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        if self._thread is not None:
            self._stopped.set()
            self._due.set()
            self._thread.join(1.0)  # it may be greeting, but asks Ray no more
            self._thread = None

    def is_lost(self, node_id: str) -> bool:
        """Tell whether a node is dead or silent, as far as is known by now."""
        return node_id in self._dead or self._missed.get(node_id, 0) >= MISSES

    def heard_at(self, node_id: str) -> float:
        """Return when a node gave its last sign of life, on the monotonic clock.

        Those that cannot be silent, or cannot be judged, give one all the time.
        """
        return self._heard.get(node_id, math.inf)

    def head_is_silent(self) -> bool:
        """Tell whether the head has left a question open for too long."""
        return time.monotonic() - self._asking_since > HEAD_S

    def refresh(self) -> None:
        """Wait until the head has told once more who is alive, but not long."""
        self._told.clear()
        self._due.set()
        self._told.wait(GREETING_S)

    def _run(self) -> None:
        while not self._stopped.is_set() and ray.is_initialized():
            with suppress(Exception):  # whatever Ray raises of a head that is going; time tells
                others = [node for node in self._ask_head() if node["NodeID"] != self._own]
                greeters = [Thread(target=self._greet, args=[n], daemon=True) for n in others]
                for greeter in greeters:
                    greeter.start()
                for greeter in greeters:
                    greeter.join()
            self._due.wait(LOOK_EVERY_S)
            self._due.clear()

    def _ask_head(self) -> list[dict[str, Any]]:
        """Learn which nodes are alive; return them."""
        self._asking_since = min(self._asking_since, time.monotonic())
        nodes = ray.nodes()
        self._asking_since = math.inf
        self._dead = {node["NodeID"] for node in nodes if not node["Alive"]}
        alive = [node for node in nodes if node["Alive"]]
        self.room = room_on([node["Resources"] for node in alive], *self._size)
        self._told.set()
        return alive

    def _greet(self, node: dict[str, Any]) -> None:
        """Learn whether a node answers."""
        node_id, answers = node["NodeID"], False
        with suppress(OSError):
            answers = greeting(node["NodeManagerAddress"], node["NodeManagerPort"], GREETING_S)
        if answers:
            self._heard[node_id], self._missed[node_id] = time.monotonic(), 0
        elif node_id in self._heard:
            self._missed[node_id] += 1
