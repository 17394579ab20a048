"""Whole searches on digits: real teacher, real executors, real Parquet, real trainings."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from gtn_nas import SearchConfig, load_run, search
from gtn_nas.config.yaml_file import to_yaml
from gtn_nas.data import load_dataset
from gtn_nas.errors import ConfigError, GtnNasError, RunFolderError, TeacherError, UnknownNameError
from gtn_nas.results.store import RunStore
from gtn_nas.strategies.random_search import RandomSearch
from gtn_nas.testing.strategies import context
from gtn_nas.training.train import evaluate
from gtn_nas.trial import Status

from ..noted import EARLIER, note
from ..user_spaces import write_space


@pytest.fixture
def config(tiny_teacher: Path, tmp_path: Path) -> SearchConfig:
    return SearchConfig(
        teacher=str(tiny_teacher),
        candidates=6,
        top_k=2,
        final_epochs=2,
        executor="inline",
        out=tmp_path / "run",
    )


def changed(config: SearchConfig, **values: object) -> SearchConfig:
    return config.model_copy(update=values)


def table(folder: Path) -> list[tuple[object, ...]]:
    names = ["key", "seed", "proxy_accuracy", "proxy_loss", "params", "flops", "status"]
    return sorted(tuple(row.values()) for row in load_run(folder).query(columns=names))


def test_a_search_leaves_a_ranking_finals_and_weights_that_can_be_used(config):
    seen = []
    result = search(config, on_progress=seen.append)
    assert [r.key for r in result.ranking] == [row["key"] for row in load_run(config.out).query()]
    assert len(result.ranking) == 6
    assert {f.key for f in result.finals} == {r.key for r in result.ranking[:2]}
    winner = result.winner
    assert winner is not None
    assert winner.validation_accuracy == max(f.validation_accuracy for f in result.finals)
    assert [p.stage for p in seen[:2]] == ["starting", "candidates"]
    assert (seen[-1].stage, seen[-1].done, seen[-1].total) == ("finals", 4, 4)
    last = [p for p in seen if p.stage == "candidates"][-1]
    assert last.load is not None
    assert (sum(last.load.workers.values()), last.failures) == (1, {})
    assert last.load.utilisation > 0.5

    dataset = load_dataset("digits")
    weights = config.out / winner.weights
    architecture = load_run(config.out).architecture(winner.key)
    network = architecture.build()
    network.load_state_dict(load_file(weights))
    accuracy, _ = evaluate(network, dataset, dataset.test)
    assert accuracy == pytest.approx(winner.test_accuracy)
    with safe_open(weights, framework="pt") as file:
        assert json.loads(file.metadata()["choices"]) == dict(architecture.choices)
    assert sorted(path.name for path in config.out.iterdir() if path.name[0] != ".") == [
        "candidates",
        "config.yaml",
        "events",
        "finals",
        "tensorboard",
        "weights",
    ]


def test_ray_and_inline_give_the_same_scores(config, tmp_path, ray_local):
    inline = search(config)
    other = changed(config, executor="ray", out=tmp_path / "ray", workers=2)
    ray = search(other)
    assert table(tmp_path / "ray") == table(tmp_path / "run")
    assert len({r.worker for r in ray.ranking}) == 2
    inline_finals = {f.key: (f.test_accuracy, f.validation_loss) for f in inline.finals}
    assert {f.key: (f.test_accuracy, f.validation_loss) for f in ray.finals} == inline_finals
    assert all(
        f.status is Status.OK and (tmp_path / "ray" / f.weights).is_file() for f in ray.finals
    )


def test_a_run_goes_on_with_more_candidates_and_trains_only_what_is_new(config):
    first = search(config)
    again = search(changed(config, candidates=9, top_k=3), resume=True)
    assert len(again.ranking) == 9
    trained = {f.key: f.created_at for f in again.finals}
    assert {f.key: f.created_at for f in first.finals}.items() <= trained.items()
    assert {r.key for r in again.ranking[:3]} <= set(trained)
    assert search(changed(config, candidates=9, top_k=3), resume=True).finals == again.finals


def test_halving_trains_whoever_took_the_whole_lesson(config):
    result = search(changed(config, strategy="successive_halving", candidates=12))
    budgets = [r.budget for r in result.ranking if r.status is Status.OK]
    assert budgets == sorted(budgets, reverse=True)
    assert {1, 2, 4} == set(budgets)
    assert {f.key for f in result.finals} == {r.key for r in result.ranking[:2]}
    assert [r.key for r in result.ranking] == [row["key"] for row in load_run(config.out).query()]
    again = search(changed(config, strategy="successive_halving", candidates=12), resume=True)
    assert again.ranking == result.ranking


@pytest.mark.parametrize("strategy", ["random", "optuna"])
def test_objectives_and_limits_decide_what_is_trained_fully(config, strategy):
    sizes = sorted(r.params for r in search(changed(config, top_k=0)).ranking)
    wanted = changed(
        config,
        strategy=strategy,
        out=config.out.with_name("limited"),
        rank_by="proxy_accuracy",
        objectives=("params",),
        limits=(f"params<={sizes[-2]}",),
        top_k=3,
    )
    result = search(wanted)
    assert result.front
    assert all(r.params <= sizes[-2] for r in result.front)
    rows = load_run(wanted.out).query(pareto=["proxy_accuracy", "params"])
    assert [row["key"] for row in rows] == [r.key for r in result.front]
    assert {f.key for f in result.finals} == {r.key for r in result.front[:3]}
    ranks = {r.key: place for place, r in enumerate(result.ranking, start=1)}
    assert all(f.rank == ranks[f.key] for f in result.finals)


@pytest.mark.parametrize("strategy", ["regularized_evolution", "successive_halving", "optuna"])
def test_ranks_of_proxies_without_a_teacher_can_be_aggregated(config, strategy):
    wanted = changed(
        config,
        teacher=None,
        split_seed=1,  # no teacher that ships fits
        strategy=strategy,
        rank_by="nwot + synflow + params",
        proxies=(),
        candidates=8,
        real_steps=4,
    )
    result = search(wanted)
    run = load_run(config.out)
    assert [r.key for r in result.ranking] == [row["key"] for row in run.query()]
    assert {f.key for f in result.finals} == {r.key for r in result.ranking[:2]}
    assert all({"nwot", "synflow"} < r.extra.keys() for r in result.ranking)
    assert all(r.proxy_loss is None for r in result.ranking)
    again = search(changed(wanted, candidates=10), resume=True)
    assert len(again.ranking) == 10
    assert {r.key for r in result.ranking} < {r.key for r in again.ranking}


def test_all_that_ranks_is_scored_and_no_more(config):
    goals = {"rank_by": "gtn_drop", "objectives": ("real_loss",), "limits": ("nwot>=-1e9",)}
    result = search(changed(config, **goals, top_k=0, proxies=("zico",)))
    real = {"real_accuracy", "real_loss", "real_training_loss"}
    names = {"gtn_drop", *real, "nwot", "zico"}
    times = {"gtn_s", "real_steps_s", "zero_cost_s"}
    assert all(r.extra.keys() == names | times for r in result.ranking)
    assert result.front


def test_a_run_is_not_overwritten(config):
    search(changed(config, top_k=0))
    with pytest.raises(RunFolderError, match="--resume"):
        search(config)
    with pytest.raises(ConfigError, match="seed: 0 -> 1"):
        search(changed(config, seed=1), resume=True)
    with pytest.raises(RunFolderError, match="not a run"):
        search(changed(config, out=config.out / "nothing"), resume=True)


@pytest.mark.parametrize(
    ("values", "kind", "text"),
    [
        ({"dataset": "digit"}, UnknownNameError, "digits"),
        ({"space": "conv_chian"}, UnknownNameError, "conv_chain"),
        ({"rank_by": "proxy_acuracy"}, UnknownNameError, "proxy_accuracy"),
        ({"rank_by": "choices"}, UnknownNameError, "column"),
        ({"rank_by": "proxy_loss+nwott"}, UnknownNameError, "nwot"),
        ({"rank_by": "nwot+nwot"}, ConfigError, "a column twice"),
        ({"proxies": ("gtn", "zicco")}, UnknownNameError, "unknown proxy 'zicco'.*zico"),
        ({"objectives": ("parms",)}, UnknownNameError, "params"),
        ({"limits": ("params<5",)}, ConfigError, "no limit"),
        ({"strategy": "randon"}, UnknownNameError, "did you mean random"),
        ({"strategy": "genetic"}, UnknownNameError, "known: module:Class, optuna, random"),
        ({"strategy": "examples.own_space:MobileChain"}, ConfigError, "not a subclass of Strategy"),
        ({"executor": "rayy"}, UnknownNameError, "unknown executor 'rayy'; did you mean ray"),
        ({"executor": "examples.own_space:MobileChain"}, UnknownNameError, "known: inline, ray"),
        ({"strategy": "optuna", "sampler": "TPESamplr"}, UnknownNameError, "TPESampler"),
        ({"sampler": "TPESampler"}, ConfigError, "--strategy optuna"),
        ({"teacher": "digit-conv_chain"}, UnknownNameError, "teacher"),
        ({"teacher": "no/such.safetensors"}, TeacherError, "no teacher at"),
        ({"split_seed": 1}, TeacherError, "split seed"),
        ({"image_size": 16}, TeacherError, "1x8x8"),
        ({"teacher": None, "split_seed": 1}, TeacherError, "gtn-nas pretrain"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(config, values, kind, text):
    with pytest.raises(kind, match=text):
        search(changed(config, **values))
    assert not config.out.exists()


def test_too_large_workers_are_refused_before_anything_is_written(config, ray_local):
    for wanted in ({"cpus_per_worker": 3.0}, {"gpus_per_worker": 1.0}, {"workers": 3}):
        with pytest.raises(GtnNasError, match="room for"):
            search(changed(config, executor="ray", **wanted))
    assert not config.out.exists()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, for modules of the user's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path


def test_a_candidate_that_raises_is_a_record_and_the_search_goes_on(config, here):
    space = write_space(here, "failing", "relu", "tanh", "fail")
    result = search(changed(config, space=space, candidates=24, top_k=1, strategy="random"))
    failed = [r for r in result.ranking if r.status is Status.FAILED]
    assert 0 < len(failed) < 24
    assert all("cannot be" in (r.error or "") for r in failed)
    assert result.ranking[-len(failed) :] == failed
    assert result.winner is not None


def test_a_search_of_a_small_space_ends_when_it_is_exhausted(config, here):
    space = write_space(here, "small", "relu", "tanh")
    result = search(changed(config, space=space, candidates=50, top_k=0))
    assert result.exhausted
    assert len(result.ranking) == 16


def test_a_changed_search_space_cannot_be_resumed(config, here):
    space = write_space(here, "edited", "relu", "tanh")
    wanted = changed(config, space=space, candidates=4, top_k=0)
    search(wanted)
    with (here / "edited.py").open("a") as file:
        file.write("\n# the same network\n")
    assert len(search(changed(wanted, candidates=6), resume=True).ranking) == 6
    with (here / "edited.py").open("a") as file:
        file.write("\nEDITED = True\n")
    with pytest.raises(ConfigError, match=r"its search space \(edited\) changed since it was"):
        search(changed(wanted, candidates=8), resume=True)


def test_a_run_of_an_earlier_version_is_read_but_not_resumed(config):
    keys = [r.key for r in search(changed(config, top_k=0)).ranking]
    note(config.out, EARLIER)
    with pytest.raises(ConfigError, match="started by an earlier version of gtn-nas") as caught:
        search(changed(config, candidates=9), resume=True)
    assert "\n" not in str(caught.value)
    run = load_run(config.out)
    assert [row["key"] for row in run.query()] == keys
    assert run.architecture(keys[0]).build()


def test_a_run_that_ended_before_it_began_can_be_resumed(config):
    RunStore.create(config.out, to_yaml(changed(config, rank_by="params"))).close()
    assert len(search(changed(config, candidates=7, rank_by="params"), resume=True).ranking) == 7
    again = changed(config, candidates=8, rank_by="params")
    assert len(search(again, resume=True).ranking) == 8


def test_latencies_of_other_code_are_not_mixed(config):
    wanted = changed(config, proxies=("latency",), rank_by="params", top_k=0, candidates=2)
    search(wanted)
    (started,) = load_run(config.out).sql("SELECT details FROM events WHERE kind = 'start'")
    noted = json.loads(started["details"])["latency code"]
    note(config.out, {"latency code": noted | {"gtn_nas.proxies.latency": "0" * 16}})
    with pytest.raises(ConfigError, match=r"latency code \(gtn_nas.proxies.latency\) changed"):
        search(wanted, resume=True)


def test_what_is_shared_with_workers_stays_as_it_was(config):
    from gtn_nas.searching.evaluation import prepare

    evaluation = prepare(config)
    arrays = evaluation.arrays()
    before = {name: array.copy() for name, array in arrays.items()}
    evaluate_trial = evaluation.factory()(arrays)
    told = replace(context(0), space=evaluation.space, budget=evaluation.lesson.steps)
    for trial in RandomSearch(told).ask(2):
        evaluate_trial(replace(trial, seed=1))
    assert all(torch.equal(torch.tensor(before[n]), torch.tensor(arrays[n])) for n in arrays)
