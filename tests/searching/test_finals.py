"""Which candidates are trained fully when the predictor takes part: real searches on digits."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from gtn_nas import SearchConfig, load_run, search
from gtn_nas.searching.predictor import LEAST_TRAINED, predict
from gtn_nas.searching.search import SearchProgress, SearchResult
from gtn_nas.trial import Final, Record, Status, derived_seed

from ..user_spaces import write_space

TOP_K = LEAST_TRAINED + 3


@pytest.fixture
def config(tiny_teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SearchConfig:
    """A search of a space of sixteen networks, which are trained in a moment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return SearchConfig(
        teacher=str(tiny_teacher),
        space=write_space(tmp_path, "narrow_finals", "relu", "tanh"),
        candidates=16,
        top_k=TOP_K,
        predictor=True,
        final_epochs=1,
        executor="inline",
        out=tmp_path / "run",
    )


def changed(config: SearchConfig, **values: object) -> SearchConfig:
    return config.model_copy(update=values)


def in_order(finals: Sequence[Final]) -> list[Final]:
    return sorted(finals, key=lambda final: final.created_at)


def told(finals: Sequence[Final]) -> list[tuple[str, float | None, float | None]]:
    return [(f.key, f.predicted_accuracy, f.validation_accuracy) for f in in_order(finals)]


def next_ones(result: SearchResult, ended: Sequence[Final], count: int = 1) -> dict[str, float]:
    """What the predictor chooses after some finals have ended, with its predictions."""
    reached = {f.key: f.validation_accuracy for f in ended}
    known = [(r, reached[r.key]) for r in result.ranking if r.key in reached]
    rest = [r for r in result.ranking if r.key not in reached]
    predicted = predict(known, rest, derived_seed(0, "predictor"))
    best = sorted(zip(predicted, rest, strict=True), key=lambda pair: -pair[0])
    return {r.key: accuracy for accuracy, r in best[:count]}


def keys(records: Sequence[Record]) -> list[str]:
    return [record.key for record in records]


def test_the_ranking_chooses_the_first_and_the_predictor_each_after_them(config):
    seen: list[SearchProgress] = []
    result = search(config, on_progress=seen.append)
    finals = in_order(result.finals)
    assert [f.key for f in finals[:LEAST_TRAINED]] == keys(result.ranking[:LEAST_TRAINED])
    assert [f.predicted_accuracy for f in finals[:LEAST_TRAINED]] == [None] * LEAST_TRAINED
    assert len({f.key for f in finals}) == TOP_K
    for place in range(LEAST_TRAINED, TOP_K):
        final = finals[place]
        assert {final.key: final.predicted_accuracy} == next_ones(result, finals[:place])
        assert final.rank == keys(result.ranking).index(final.key) + 1
    told = [(p.done, p.total) for p in seen if p.stage == "finals"]
    assert told == [(done, TOP_K) for done in range(TOP_K + 1)]
    rows = load_run(config.out).sql("SELECT key FROM finals WHERE predicted_accuracy IS NOT NULL")
    assert {row["key"] for row in rows} == {f.key for f in finals[LEAST_TRAINED:]}
    assert search(config, resume=True).finals == result.finals


def test_whoever_is_behind_ends_early_and_is_not_trained_again(config):
    wanted = changed(config, top_k=6, predictor=False, halve_finals=True, final_epochs=8)
    finals = search(wanted).finals
    stopped = [f for f in finals if f.status is Status.STOPPED]
    whole = [f for f in finals if f.status is Status.OK]
    assert len(finals) == 6
    assert stopped
    assert whole
    assert finals[: len(whole)] == whole
    assert all(f.test_accuracy is None and f.weights is None for f in stopped)
    assert search(wanted, resume=True).finals == finals


@pytest.mark.parametrize("stop_after", [pytest.param(4, marks=pytest.mark.slow), LEAST_TRAINED + 1])
def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(config, stop_after):
    undisturbed = search(changed(config, out=config.out.with_name("undisturbed")))

    def interrupt(progress: SearchProgress) -> None:
        if progress.finals == stop_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(config, on_progress=interrupt)
    before = load_run(config.out).sql("SELECT key FROM finals")
    assert len(before) == stop_after
    seen: list[SearchProgress] = []
    result = search(config, resume=True, on_progress=seen.append)
    assert told(result.finals) == told(undisturbed.finals)
    assert (seen[-1].done, seen[-1].total) == (TOP_K - stop_after, TOP_K - stop_after)


def test_a_resume_may_bring_the_predictor_in_and_leave_it_out_again(config):
    plain = search(changed(config, predictor=False, top_k=LEAST_TRAINED - 1))
    assert all(f.predicted_accuracy is None for f in plain.finals)
    joined = search(changed(config, top_k=LEAST_TRAINED + 1), resume=True)
    finals = in_order(joined.finals)
    assert [f.key for f in finals[:LEAST_TRAINED]] == keys(joined.ranking[:LEAST_TRAINED])
    assert finals[LEAST_TRAINED].predicted_accuracy is not None
    alone = search(changed(config, predictor=False, top_k=16), resume=True)
    assert told(alone.finals)[: LEAST_TRAINED + 1] == told(joined.finals)
    assert {f.key for f in alone.finals} == set(keys(alone.ranking))
    assert all(f.predicted_accuracy is None for f in in_order(alone.finals)[LEAST_TRAINED + 1 :])


@pytest.mark.slow
def test_networks_that_train_side_by_side_are_chosen_together(config, ray_local):
    config = changed(config, space="conv_chain", top_k=LEAST_TRAINED)
    first = search(config).finals
    wanted = changed(config, executor="ray", workers=1, top_k=LEAST_TRAINED + 2)
    result = search(wanted, resume=True)
    pair = {f.key: f.predicted_accuracy for f in in_order(result.finals)[LEAST_TRAINED:]}
    assert pair == next_ones(result, first, 2)


def test_the_ranking_goes_on_while_too_few_trainings_succeed(config, tmp_path):
    space = write_space(tmp_path, "failing_finals", "relu", "fail")
    module = tmp_path / "failing_finals.py"
    at_last = 'act == "fail" and scale == "final"'
    module.write_text(
        module.read_text()
        .replace('act == "fail"', at_last)
        .replace('nn.Tanh() if act == "tanh"', 'nn.Tanh() if act == "fail"')
    )
    result = search(changed(config, space=space, rank_by="proxy_accuracy"))
    finals = in_order(result.finals)
    assert sum(f.status == "ok" for f in finals) < LEAST_TRAINED
    assert [f.key for f in finals] == keys(result.ranking[:TOP_K])
    assert all(f.predicted_accuracy is None for f in finals)


def test_scores_of_different_budgets_are_not_mixed(config):
    result = search(changed(config, strategy="successive_halving"))
    full = max(r.budget for r in result.ranking)
    assert sum(r.budget == full for r in result.ranking) < LEAST_TRAINED
    assert [f.key for f in in_order(result.finals)] == keys(result.ranking[:TOP_K])
    assert all(f.predicted_accuracy is None for f in result.finals)
