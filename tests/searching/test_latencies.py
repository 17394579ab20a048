"""Searches that weigh latency: real candidates, measured when all of them were evaluated."""

import logging
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gtn_nas import SearchConfig, load_run, search
from gtn_nas.errors import ConfigError
from gtn_nas.results.layout import part_files
from gtn_nas.results.store import RunStore
from gtn_nas.trial import Status

FAILING_AT_FINAL_SCALE = """
from torch import nn

from gtn_nas import SearchSpace


class Large(SearchSpace):
    name = "large"
    choices = {"width": (1, 2, 3), "fits": (True, False)}

    def build(self, architecture, input_shape, num_classes, scale="proxy"):
        width, fits = architecture.choices["width"], architecture.choices["fits"]
        if scale == "final" and not fits:
            raise ValueError("too large to deploy")
        features = input_shape[0] * input_shape[1] * input_shape[2]
        return nn.Sequential(
            nn.Flatten(), nn.Linear(features, width), nn.ReLU(), nn.Linear(width, num_classes)
        )
"""


@pytest.fixture
def config(tiny_teacher: Path, tmp_path: Path) -> SearchConfig:
    """A search of six candidates, none of them fully trained."""
    return SearchConfig(
        teacher=str(tiny_teacher), candidates=6, top_k=0, executor="inline", out=tmp_path / "run"
    )


def changed(config: SearchConfig, **values: object) -> SearchConfig:
    return config.model_copy(update=values)


def measured(folder: Path) -> list[dict[str, object]]:
    return load_run(folder).sql("SELECT * FROM latencies ORDER BY created_at")


@pytest.mark.parametrize("executor", ["inline", pytest.param("ray", marks=pytest.mark.slow)])
def test_latency_is_measured_once_for_each_candidate_and_weighed(config, executor, ray_local):
    wanted = changed(
        config,
        executor=executor,
        workers=2,
        rank_by="proxy_accuracy",
        objectives=("latency_ms",),
        latency_batch=2,
    )
    seen = []
    result = search(wanted, on_progress=seen.append)
    known = {r.key: r.extra["latency_ms"] for r in result.ranking}
    rows = measured(wanted.out)
    assert {row["key"]: row["latency_ms"] for row in rows} == known
    assert all(value > 0 for value in known.values())
    assert {(row["batch"], row["status"], row["threads"]) for row in rows} == {(2, "ok", 1)}
    shown = load_run(wanted.out).query(columns=["key", "latency_ms"])
    assert [row["latency_ms"] for row in shown] == [known[r.key] for r in result.ranking]

    assert min(known, key=known.__getitem__) in {r.key for r in result.front}
    front = load_run(wanted.out).query(pareto=["proxy_accuracy", "latency_ms"])
    assert [row["key"] for row in front] == [r.key for r in result.front]
    assert [p.done for p in seen if p.stage == "latencies"] == list(range(7))


def test_the_best_of_the_front_is_trained_fully_when_all_are_measured(config):
    seen = []
    wanted = changed(config, objectives=("latency_ms",), top_k=1, final_epochs=1)
    result = search(wanted, on_progress=seen.append)
    assert [f.key for f in result.finals] == [result.front[0].key]
    stages = dict.fromkeys(p.stage for p in seen)
    assert list(stages) == ["starting", "candidates", "latencies", "finals"]


@pytest.mark.parametrize("strategy", ["regularized_evolution", "successive_halving", "optuna"])
def test_a_strategy_is_not_misled_by_what_is_not_known_yet(config, strategy):
    """With a limit that all candidates keep, the search is the same as without one."""
    plain = search(changed(config, strategy=strategy, candidates=12))
    wanted = changed(config, strategy=strategy, candidates=12, out=config.out.with_name("limited"))
    limited = search(changed(wanted, limits=("latency_ms<=1e9",), proxies=("gtn", "nwot")))
    told = [{r.key: r.tell_index for r in result.ranking} for result in (plain, limited)]
    assert told[0] == told[1]
    assert [r.key for r in limited.ranking] == [r.key for r in plain.ranking]
    assert len(measured(wanted.out)) == 12


def test_what_is_beyond_a_limit_on_latency_ranks_last_and_is_not_trained(config):
    result = search(changed(config, limits=("latency_ms<=0",), top_k=2))
    assert len(result.ranking) == 6
    assert all("latency_ms" in r.extra for r in result.ranking)
    assert result.finals == []


def test_latency_can_be_measured_without_being_a_goal(config):
    search(changed(config, proxies=("gtn", "latency")))
    plain = changed(config, out=config.out.with_name("plain"))
    assert not any("latency_ms" in r.extra for r in search(plain).ranking)
    assert not (plain.out / "latencies").exists()
    columns = ["key", "proxy_loss", "evaluation_id"]
    timed, untimed = (load_run(c.out).query(columns=columns) for c in (config, plain))
    assert timed == untimed  # scores stay comparable with those of other runs
    assert len(measured(config.out)) == 6


def test_a_part_of_a_score_can_be_latency(config):
    result = search(changed(config, rank_by="proxy_loss+latency_ms"))
    assert [r.key for r in result.ranking] == [row["key"] for row in load_run(config.out).query()]
    assert "latency_ms" in result.ranking[0].extra


def test_a_resumed_run_measures_only_what_is_new(config):
    wanted = changed(config, objectives=("latency_ms",))
    first = {row["key"]: row for row in search_and_read(wanted)}
    assert [row["key"] for row in search_and_read(wanted, resume=True)] == list(first)
    more = search_and_read(changed(wanted, candidates=9), resume=True)
    assert len(more) == 9
    assert {row["key"]: row for row in more}.items() >= first.items()
    rows = sum(pq.read_metadata(p).num_rows for p in part_files(config.out, "latencies"))
    assert rows == 9


def search_and_read(config, **options):
    search(config, **options)
    return measured(config.out)


class Stopped(Exception):
    pass


def test_a_run_that_was_stopped_while_it_measured_goes_on_there(config):
    def stop(progress):
        if progress.stage == "latencies" and progress.done == 4:
            raise Stopped

    wanted = changed(config, objectives=("latency_ms",))
    with pytest.raises(Stopped):
        search(wanted, on_progress=stop)
    before = measured(config.out)
    assert len(before) == 4
    seen = []
    search(wanted, resume=True, on_progress=seen.append)
    assert measured(config.out)[:4] == before
    assert [p.done for p in seen if p.stage == "latencies"] == [4, 5, 6]
    with RunStore.open(config.out) as store:
        assert len(store.load_latencies()) == 6


def test_what_cannot_be_measured_has_a_reason_and_the_run_goes_on(
    config, tmp_path, monkeypatch, caplog
):
    (tmp_path / "own_large.py").write_text(FAILING_AT_FINAL_SCALE)
    monkeypatch.syspath_prepend(tmp_path)
    goals = {"rank_by": "proxy_accuracy", "objectives": ("latency_ms",)}
    wanted = changed(config, space="own_large:Large", **goals)
    with caplog.at_level(logging.WARNING):
        result = search(wanted)
    fits = {r.key for r in result.ranking if '"fits":true' in r.choices.replace(" ", "")}
    assert all(r.status is Status.OK for r in result.ranking)
    assert {r.key for r in result.ranking if "latency_ms" in r.extra} == fits
    assert {r.key for r in result.front} <= fits
    failed = [row for row in measured(config.out) if row["status"] == "failed"]
    assert len(failed) == 6 - len(fits) > 0
    assert all("too large to deploy" in row["error"] for row in failed)
    assert f"{len(failed)} of 6 candidates have no latency" in caplog.text
    search(wanted, resume=True)
    assert len(measured(config.out)) == 6


def test_latencies_of_different_workers_are_not_passed_off_as_comparable(config, caplog):
    wanted = changed(config, objectives=("latency_ms",))
    search(wanted)
    assert "cannot be compared" not in caplog.text
    search(changed(wanted, candidates=7, cpus_per_worker=2.0), resume=True)
    assert "cpu with 1 threads, others on cpu with 2 threads" in caplog.text


def test_latency_alone_cannot_rank(config):
    with pytest.raises(ConfigError, match="--objective latency_ms or --limit 'latency_ms<=5'"):
        search(changed(config, rank_by="latency_ms"))
    assert not config.out.exists()
