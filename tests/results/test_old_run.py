"""A run that was written with schema version 1 is read by everything.

It is kept in ``old_run``: a search for 12 candidates of digits and one full training.
"""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from gtn_nas.errors import QueryError
from gtn_nas.export.trained import load_trained
from gtn_nas.report.page import report_data
from gtn_nas.report.pictures import Pictures
from gtn_nas.report.snapshot import read
from gtn_nas.results.comparison import compare
from gtn_nas.results.query import load_run, load_runs
from gtn_nas.results.store import RunStore
from gtn_nas.results.summary import State, summarise
from gtn_nas.trial import SCHEMA_VERSION

from .samples import final, record, write_run

KEPT = Path(__file__).parent / "old_run"
WINNER = "c7bad7fcd0e5f5b1"
BEST = [WINNER, "a483682f31731371", "7b5f0ef7f6fe73f0", "3448b67d94a2d983", "4b1188ca8d4bdf7c"]
"""As the code that wrote it ranked them; the first two are within its limit."""


@pytest.fixture
def old(tmp_path):
    return shutil.copytree(KEPT, tmp_path / "old_run")


NEW = replace(record(0, tell_index=12), evaluation_id="a0d8fdc8543ac465")
"""A candidate that this version evaluated alike."""


@pytest.fixture
def new(tmp_path, old):
    folder = write_run(tmp_path / "new", [NEW], config=(old / "config.yaml").read_text())
    with RunStore.open(folder) as store:
        store.append_event("start", details=load_run(old).facts)
        store.append_final(final(0, validation_accuracy=0.1))
    return folder


@pytest.fixture
def mixed(old):
    """The old run with rows that this version added."""
    with RunStore.open(old) as store:
        store.append_candidates([NEW])
        store.append_final(final(0, validation_accuracy=0.9))
        store.append_event("resume")
    return old


def test_it_ranks_as_the_code_that_wrote_it_did(old):
    run = load_run(old)
    assert [row["key"] for row in run.top(5)] == BEST
    assert [row["key"] for row in run.pareto("jacob_cov", "params")] == [WINNER]
    assert run.sql("SELECT DISTINCT schema_version FROM candidates") == [{"schema_version": 1}]
    assert len(run.candidates()) == 12
    assert list(run.finals()["status"]) == ["ok"]
    assert len(run.events()) == 18
    assert run.architecture(WINNER).build()


def test_its_state_and_winner_are_known(old):
    s = summarise(load_run(old))
    assert (s.state, s.counts, s.finals) == (State.ENDED, {"ok": 12}, {"ok": 1})
    assert s.best is not None
    assert s.winner is not None
    assert s.best["key"] == s.winner["key"] == WINNER


def test_it_is_reported(old):
    data = report_data(read(load_run(old)), Pictures())
    assert data["table"]["count"] == 12
    assert data["summary"]["winner"]["key"] == WINNER
    assert not {"stage", "scale"} & {column["name"] for column in data["table"]["columns"]}


def test_its_network_is_loaded_for_an_export(old):
    trained = load_trained(old, 1, None, None)
    assert (trained.architecture.key, trained.images.dataset) == (WINNER, "digits")
    assert sum(p.numel() for p in trained.network.parameters()) == 9506


def test_it_is_compared_with_a_new_one(old, new):
    found = compare(load_run(old), load_run(new))
    assert found.evaluated == (12, 1)
    verdicts = found.by_validation, found.by_score
    assert [(v.why_not, v.better, v.first and v.first[0]) for v in verdicts] == [
        (None, 1, WINNER)
    ] * 2


def test_rows_of_both_versions_are_one_table(mixed):
    run = load_run(mixed)
    assert [row["key"] for row in run.query(where="tell_index < 12", top=5)] == BEST
    versions = run.sql("SELECT schema_version AS v, count(*) AS n FROM candidates GROUP BY v")
    assert sorted((row["v"], row["n"]) for row in versions) == [(1, 12), (SCHEMA_VERSION, 1)]
    assert (run.winner or {})["key"] == final(0).key
    with RunStore.open(mixed) as store:
        store.compact()
    assert len(run.query()) == 13
    assert [row["key"] for row in run.best_finals()] == [final(0).key, WINNER]


def test_a_writer_reads_its_rows(mixed):
    with RunStore.open(mixed) as store:
        records, finals = store.load_candidates(), store.load_finals()
        asks = [event.trial() for event in store.load_events() if event.kind == "ask"]
    asked = [trial.architecture.key for trial in asks]
    assert sorted(asked) == sorted(r.key for r in records[:-1])
    assert records[-1] == NEW
    assert {frozenset(r.extra) for r in records[:-1]} == {frozenset({"jacob_cov", "zero_cost_s"})}
    assert [f.key for f in finals] == [WINNER, final(0).key]


def test_columns_that_went_are_further_ones_of_old_rows_alone(mixed, new):
    for run in (load_run(mixed), load_runs(mixed, new)):
        candidates = run.sql("SELECT DISTINCT stage, scale FROM candidates ORDER BY ALL")
        assert [tuple(row.values()) for row in candidates] == [("proxy", "proxy"), (None, None)]
        finals = run.sql("SELECT DISTINCT scale FROM finals ORDER BY ALL")
        assert [row["scale"] for row in finals] == ["final", None]
        assert len(run.query(where="stage = 'proxy'")) == 12
    with pytest.raises(QueryError, match="unknown column 'stage'"):
        load_run(new).query(columns=["stage"])
    with pytest.raises(QueryError, match="unknown column 'scale'"):
        load_run(new).sql("SELECT scale FROM finals")
