"""The search loop, with real strategies, a real store and candidates that score at once."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import MappingProxyType

import pytest

from gtn_nas.executors import InlineExecutor
from gtn_nas.executors.base import Notice
from gtn_nas.ranking.goals import Goals
from gtn_nas.results.store import RunStore
from gtn_nas.searching.controller import Controller
from gtn_nas.searching.steering import strategy_context
from gtn_nas.spaces.base import SearchSpace
from gtn_nas.strategies import STRATEGIES, get_strategy
from gtn_nas.strategies.regularized_evolution import RegularizedEvolution
from gtn_nas.trial import Evaluate, Record, Status, Trial

BUDGET = 32


class Grid(SearchSpace):
    """Sixty-four points; nothing is ever built."""

    name = "grid"
    choices = MappingProxyType({name: tuple(range(4)) for name in "abc"})

    def build(self, *arguments, **options):
        raise AssertionError("a toy candidate is not built")


@dataclass(frozen=True)
class ToyFactory:
    """Scores a candidate by its choices; those with ``a = 3`` fail."""

    log: Path

    def __call__(self, arrays: object) -> Evaluate:
        def evaluate(trial: Trial) -> Record:
            with self.log.open("a") as file:
                file.write(f"{trial.architecture.key}:{trial.budget}\n")
            a, b, c = trial.architecture.choices.values()
            if a == 3:
                raise ValueError("three is too much")
            score = (16 * a + 4 * b + c) / 64
            return Record.of(trial, Status.OK, proxy_accuracy=score, proxy_loss=1 - score)

        return evaluate


GOALS = Goals.parse("proxy_accuracy", [], [])


def strategy(name: str, seed: int = 0):
    context = strategy_context(Grid(), BUDGET, seed, GOALS)
    if name == "regularized_evolution":
        return RegularizedEvolution(context, population=8, sample=3)
    return get_strategy(name)(context)


def run(store: RunStore, log: Path, name: str, candidates: int) -> Iterator[Record]:
    with InlineExecutor(ToyFactory(log), {}) as executor:
        controller = Controller(
            strategy(name), executor, store, seed=7, evaluation_id="e", candidates=candidates
        )
        yield from controller.run()


def comparable(records: list[Record]) -> list[tuple[object, ...]]:
    names = ["tell_index", "ask_index", "key", "budget", "seed", "status", "proxy_accuracy"]
    return [tuple(getattr(record, name) for name in names) for record in records]


every_strategy = pytest.mark.parametrize("name", STRATEGIES)


@every_strategy
def test_as_many_distinct_candidates_are_evaluated_once_as_were_asked_for(tmp_path, name):
    with RunStore.create(tmp_path / "run", "") as store:
        yielded = list(run(store, tmp_path / "log", name, 40))
        assert len({record.key for record in yielded}) == 40
        assert len({(record.key, record.budget) for record in yielded}) == len(yielded)
        assert (len(yielded) == 40) is (name != "successive_halving")
        assert len((tmp_path / "log").read_text().split()) == len(yielded)
        assert store.load_candidates() == yielded
        assert {r.status for r in yielded} == {Status.OK, Status.FAILED}
        assert all(r.evaluation_id == "e" and r.run == "run" for r in yielded)


@every_strategy
@pytest.mark.parametrize(
    "stop_after",
    [pytest.param(1, marks=pytest.mark.slow), 9, pytest.param(23, marks=pytest.mark.slow)],
)
def test_a_run_stopped_anywhere_goes_on_as_if_it_had_not_been(tmp_path, name, stop_after):
    with RunStore.create(tmp_path / "whole", "") as store:
        undisturbed = list(run(store, tmp_path / "log", name, 32))
    with RunStore.create(tmp_path / "run", "") as store:
        list(islice(run(store, tmp_path / "log1", name, 32), stop_after))
    with RunStore.open(tmp_path / "run") as store:
        list(run(store, tmp_path / "log2", name, 32))
        again = store.load_candidates()
    assert comparable(again) == comparable(undisturbed)
    logs = [(tmp_path / log).read_text().split() for log in ("log1", "log2")]
    assert not set(logs[0][:stop_after]) & set(logs[1])


@every_strategy
@pytest.mark.parametrize("killed_after", [pytest.param(3, marks=pytest.mark.slow), 20])
def test_a_run_killed_before_its_last_records_were_written_goes_on_as_well(
    tmp_path, name, killed_after
):
    """Only asks reach the disk at once here; records wait until the next of them."""
    with RunStore.create(tmp_path / "run", "", clock=lambda: 0.0) as store:
        records = run(store, tmp_path / "log", name, 32)
        undisturbed = list(islice(records, killed_after))
        shutil.copytree(tmp_path / "run", tmp_path / "left")
        undisturbed += records
    with RunStore.open(tmp_path / "left") as store:
        assert len(store.load_candidates()) < killed_after
        list(run(store, tmp_path / "log2", name, 32))
        assert comparable(store.load_candidates()) == comparable(undisturbed)


def test_halving_counts_architectures_and_promotes_all_that_deserve_it(tmp_path):
    with RunStore.create(tmp_path / "run", "") as store:
        records = list(run(store, tmp_path / "log", "successive_halving", 40))
    rungs = {b: [r for r in records if r.budget == b] for b in (8, 16, 32)}
    assert len(rungs[8]) == 40
    for budget, larger in ((8, 16), (16, 32)):
        good = GOALS.ranked(r for r in rungs[budget] if r.status is Status.OK)
        best = {record.key for record in good[: len(good) // 2]}
        assert best <= {record.key for record in rungs[larger]}
    ranking = GOALS.ranked(records)
    assert len(ranking) == 40
    assert {r.key for r in ranking[: len(rungs[32])]} == {r.key for r in rungs[32]}
    first = {r.key: r.tell_index for r in rungs[8]}
    promoted_at = min(r.tell_index for r in rungs[16])
    assert promoted_at < max(first.values())  # before the lowest rung was full
    assert {r.seed for r in records} == {7}


def test_a_halving_that_ended_is_not_begun_again(tmp_path):
    with RunStore.create(tmp_path / "run", "") as store:
        before = list(run(store, tmp_path / "log", "successive_halving", 20))
    with RunStore.open(tmp_path / "run") as store:
        assert list(run(store, tmp_path / "log", "successive_halving", 20)) == []
        more = list(run(store, tmp_path / "log", "successive_halving", 30))
        assert len({r.key for r in before + more}) == 30
        assert len({(r.key, r.budget) for r in before + more}) == len(before + more)


def test_a_finished_run_goes_on_with_more_candidates(tmp_path):
    with RunStore.create(tmp_path / "run", "") as store:
        list(run(store, tmp_path / "log", "random", 10))
    with RunStore.open(tmp_path / "run") as store:
        assert len(list(run(store, tmp_path / "log", "random", 25))) == 15
        assert len(store.load_candidates()) == 25
    assert len((tmp_path / "log").read_text().split()) == 25


def test_a_search_ends_when_the_space_has_nothing_new(tmp_path):
    with (
        RunStore.create(tmp_path / "run", "") as store,
        InlineExecutor(ToyFactory(tmp_path / "log"), {}) as executor,
    ):
        controller = Controller(
            strategy("random"), executor, store, seed=7, evaluation_id="e", candidates=1000
        )
        assert len(list(controller.run())) == 64
        assert controller.exhausted


@pytest.mark.parametrize("name", ["random", "regularized_evolution"])
def test_all_candidates_share_the_seed_of_their_run(tmp_path, name):
    with RunStore.create(tmp_path / "run", "") as store:
        assert {r.seed for r in run(store, tmp_path / "log", name, 60)} == {7}


def test_workers_and_failures_are_recorded_and_logged(tmp_path, caplog):
    seen = []
    with (
        RunStore.create(tmp_path / "run", "") as store,
        InlineExecutor(ToyFactory(tmp_path / "log"), {}) as executor,
        caplog.at_level("INFO", "gtn_nas"),
    ):
        controller = Controller(
            strategy("random"), executor, store, seed=7, evaluation_id="e", candidates=30
        )
        controller.on_notice = seen.append
        notice = Notice("requeued", "w1", "n1", "its worker was ended", key="0a", attempt=2)
        executor.on_notice(notice)
        failed = [r for r in controller.run() if r.status is Status.FAILED]
        (event,) = [e for e in store.load_events() if e.kind == "requeued"]
    assert seen == [notice]
    assert event.key == "0a"
    assert json.loads(event.details) == {
        "worker": "w1",
        "node": "n1",
        "reason": "its worker was ended",
        "attempt": 2,
    }
    assert controller.failures == {Status.FAILED: len(failed)}
    lines = [(r.levelname, r.getMessage()) for r in caplog.records]
    assert lines[0] == (
        "INFO",
        "run=run key=0a requeued worker=w1 node=n1: its worker was ended",
    )
    text = "run=run key={} failed: ValueError: three is too much"
    assert lines[1] == ("WARNING", text.format(failed[0].key))
    assert lines[2:] == [("INFO", text.format(r.key)) for r in failed[1:]]


def test_evolution_finds_better_candidates_than_chance(tmp_path):
    best = {}
    for name in ("random", "regularized_evolution"):
        with RunStore.create(tmp_path / name, "") as store:
            records = list(run(store, tmp_path / "log", name, 40))
            late = [r.proxy_accuracy for r in records[20:] if r.proxy_accuracy is not None]
            best[name] = sum(late) / len(late)
    assert best["regularized_evolution"] > best["random"]
