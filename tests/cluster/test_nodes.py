"""Workers and nodes that die, fall silent or join while a search goes on."""

import os
import signal
from contextlib import suppress

import pytest

from .candidates import POISONS
from .conftest import Search


def test_a_search_outlives_a_worker_and_all_nodes_but_one_and_uses_one_that_joins(
    start_nodes, search: Search
):
    nodes = start_nodes(3)
    faults = {3: "kill worker", 7: "kill node", 11: "kill node", 16: "meet", 17: "meet"}
    process = search.start(address=nodes.address, at=faults)
    assert process.stdout is not None
    for _ in range(12):
        process.stdout.readline()
    nodes.add()  # the 16th and 17th wait for each other, and only one node is left
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    search.check()
    joined, left = search.events("worker_joined"), search.events("worker_left")
    assert len({event["node"] for event in joined}) == 4
    assert "ended by ActorDiedError" in {event["reason"] for event in left}
    assert len({e["node"] for e in left if e["reason"] == "ended by the loss of its node"}) == 2
    again = [event["key"] for event in search.events("requeued")]
    assert search.count + 3 <= len(search.begun()) <= search.count + len(again)
    assert {row["key"] for row in search.rows() if row["attempt"] > 1} <= set(again)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["kill worker", "kill node"])
@pytest.mark.parametrize("k", [1, 2, 13, 24])
def test_a_search_outlives_the_end_of_a_worker_or_node_at_any_candidate(
    start_nodes, search: Search, fault, k
):
    search.finish(address=start_nodes(2).address, at={k: fault})
    search.check()
    assert len(search.begun()) == search.count + 1


@pytest.mark.slow
def test_a_node_that_falls_silent_costs_nobody_a_deadline(start_nodes, search: Search):
    """Ray itself would wait for a minute; the candidate's deadline passes long before."""
    nodes = start_nodes(2, settings={})
    try:
        search.finish(address=nodes.address, at={5: "freeze node"}, timeout_s=3.0)
        search.check()
        (left,) = search.events("worker_left")
        assert left["reason"] == "ended by the loss of its node"
        assert len(search.begun()) == search.count + 1
    finally:
        for pid in search.log.with_suffix(".frozen").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


@pytest.mark.parametrize(
    "poisons", [len(POISONS) - 1, pytest.param(len(POISONS), marks=pytest.mark.slow)]
)
def test_poisonous_candidates_are_records_and_harm_no_other(start_nodes, search: Search, poisons):
    """All but the last kind end no process, and are met inline too."""
    address = start_nodes(2).address if poisons == len(POISONS) else None
    search.finish(address=address, poisons=poisons, timeout_s=5.0 if address else 0.5)
    ended = ("failed", "timeout", "diverged", "oom", "crashed")[:poisons]
    rows = {row["key"]: row for row in search.rows()}
    assert len(rows) == len(search.rows()) == search.count
    for trial, loss in search.undisturbed():
        row, kind = rows[trial.architecture.key], trial.architecture.choices["a"]
        assert row["status"] == (ended[kind] if kind < poisons else "ok")
        assert row["proxy_loss"] == (None if kind < poisons else loss)
        assert row["attempt"] == 2 or row["status"] != "crashed"
    assert {row["status"] for row in rows.values()} == {"ok", *ended}
