from datetime import timedelta

import pytest

from gtn_nas.errors import RunFolderError
from gtn_nas.results.holder import Holder
from gtn_nas.results.query import load_run
from gtn_nas.results.store import RunStore
from gtn_nas.results.summary import Failures, Node, State, is_running, summarise
from gtn_nas.storage.bucket import BucketPath
from gtn_nas.trial import Status

from ..gate import Time
from .samples import final, record

CONFIG = "candidates: 20\ntop_k: 2\nrank_by: proxy_accuracy\nspace: my_spaces:Mine\n"
FAILED = {"status": Status.FAILED, "proxy_accuracy": None}


def write(folder, config=CONFIG):
    """A run of eight candidates that was interrupted."""
    with RunStore.create(folder, config) as store:
        store.append_event("start")
        store.flush()
        (start,) = (event.created_at for event in store.load_events())
        for i in range(8):
            later = start + timedelta(seconds=i + 1)
            about = {"node": f"node-{i % 2}", "worker": f"worker-{i % 4}", "created_at": later}
            bad = {**FAILED, "error": f"ValueError: bad {i}"} if i in (2, 5) else {}
            killed = {**FAILED, "status": Status.OOM} if i == 7 else {}
            store.append_candidates([record(i, **about, **bad, **killed)])
        store.append_final(final(1, validation_accuracy=0.8, created_at=start))
        store.append_final(final(0, validation_accuracy=0.9, test_accuracy=0.7, created_at=start))
        store.append_final(final(3, status=Status.STOPPED, created_at=start))
    return folder


def test_an_interrupted_run_says_what_it_has_and_how_to_go_on(tmp_path):
    s = summarise(load_run(write(tmp_path / "run")))
    assert (s.run, s.state, s.holder) == (str(tmp_path / "run"), State.INTERRUPTED, None)
    assert s.go_on == f"gtn-nas search --resume --out {tmp_path}/run --space my_spaces:Mine"
    assert (s.wanted, s.top_k, s.rank_by) == (20, 2, "proxy_accuracy")
    assert s.counts == {"ok": 5, "failed": 2, "oom": 1}
    assert s.failures == [
        Failures("failed", "ValueError", 2, "ValueError: bad 2"),
        Failures("oom", "", 1, ""),
    ]
    assert s.nodes == [Node("node-0", 2, 4), Node("node-1", 2, 4)]
    assert s.rate_per_s == pytest.approx(1.0)
    assert s.best is not None
    assert (s.best["key"], s.best["proxy_accuracy"]) == (record(0).key, 1.0)
    assert s.finals == {"ok": 2, "stopped": 1}
    assert s.winner is not None
    assert (s.winner["key"], s.winner["test_accuracy"]) == (record(0).key, 0.7)
    assert s.elapsed_s == pytest.approx(8.0)


def test_a_run_that_is_written_is_running_and_ends_with_its_end(tmp_path):
    write(tmp_path / "run")
    run = load_run(tmp_path / "run")
    with RunStore.open(tmp_path / "run") as store:
        assert is_running(run)
        store.append_event("resume")
        for name in ("a", "b", "c"):
            details = {"worker": name, "node": "node-0"}
            store.append_event("worker_joined", details=details)
        store.append_event("worker_left", details={"worker": "b", "node": "node-0"})
        store.flush()
        s = summarise(run)
        assert (s.state, s.holder, s.go_on) == (State.RUNNING, Holder.this_process(), None)
        assert s.nodes[0] == Node("node-0", 2, 4)
        store.append_event("end")
    s = summarise(run)
    assert (s.state, s.holder, s.go_on) == (State.ENDED, None, None)
    assert not is_running(run)
    with RunStore.open(tmp_path / "run") as store:
        store.append_event("resume")
    assert summarise(run).state is State.INTERRUPTED


def test_an_empty_run_has_nothing_to_tell(tmp_path):
    RunStore.create(tmp_path / "run", "truth_column: accuracy\n").close()
    s = summarise(load_run(tmp_path / "run"))
    assert s.state is State.INTERRUPTED
    assert s.go_on == f"gtn-nas validate-proxy --resume --out {tmp_path}/run"
    assert (s.counts, s.failures, s.nodes, s.finals) == ({}, [], [], {})
    assert s.best is s.winner is s.started_at is s.latest_at is s.elapsed_s is None


def test_a_damaged_configuration_is_told(tmp_path):
    write(tmp_path / "run", "a: [")
    with pytest.raises(RunFolderError, match=r"cannot read .*config\.yaml"):
        summarise(load_run(tmp_path / "run"))


def test_a_run_in_a_bucket_is_summarised(bucket):
    time = Time()
    folder = BucketPath.of(f"{bucket}/runs/a", clock=time.clock, pause=time.pause)
    write(folder)
    s = summarise(load_run(str(folder)))
    assert (s.state, s.counts["ok"]) == (State.INTERRUPTED, 5)
    with RunStore.open(folder):
        assert summarise(load_run(str(folder))).holder == Holder.this_process()
