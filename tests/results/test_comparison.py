from dataclasses import replace

import pytest

from gtn_nas.results.comparison import compare
from gtn_nas.results.query import load_run
from gtn_nas.results.store import RunStore
from gtn_nas.trial import Status

from .samples import final, record

FACTS = {"data": "d1", "split": "0", "teacher": "t1"}


def write(folder, candidates, finals=(), config="seed: 0\n", facts=FACTS):
    with RunStore.create(folder, f"rank_by: proxy_accuracy\nout: {folder}\n{config}") as store:
        store.append_event("start", details=facts)
        store.append_candidates(candidates)
        for made in finals:
            store.append_final(made)
    return load_run(folder)


@pytest.fixture
def first(tmp_path):
    """Candidates 1 to 5, of which 1 is best and 4 failed; 2 was trained to 90 %."""
    candidates = [record(i) for i in (1, 2, 3, 5)] + [record(4, status=Status.FAILED)]
    return write(tmp_path / "a", candidates, [final(2, validation_accuracy=0.9)])


def test_runs_of_the_same_settings_agree(first):
    c = compare(first, first)
    assert (c.settings, c.facts) == ({}, {})
    assert (c.by_validation.better, c.by_score.better) == (None, None)
    assert c.by_score.why_not is None
    assert c.by_score.first == c.by_score.second == (record(1).key, None)
    assert (c.evaluated, c.shared, c.top_shared, c.spearman) == ((4, 4), 4, 4, pytest.approx(1.0))


def test_what_differs_and_who_is_better_is_told(first, tmp_path):
    scores = {1: 0.1, 2: 0.2, 3: 0.3, 9: 0.6}
    candidates = [record(i, proxy_accuracy=score) for i, score in scores.items()]
    finals = [final(3, validation_accuracy=0.8), final(9, status=Status.FAILED)]
    facts = FACTS | {"teacher": "t2"}
    second = write(tmp_path / "b", candidates, finals, "seed: 1\nworkers: 2\n", facts)
    c = compare(first, second, top=2)
    assert c.settings == {"seed": (0, 1), "workers": (None, 2)}
    assert c.facts == {"teacher": ("t1", "t2")}
    assert c.by_validation.better == 1
    assert c.by_validation.first == (record(2).key, 0.9)
    assert c.by_validation.second == (record(3).key, 0.8)
    assert (c.by_score.better, c.by_score.second) == (2, (record(9).key, None))
    assert (c.evaluated, c.shared, c.top, c.top_shared) == ((4, 4), 3, 2, 0)
    assert c.spearman == pytest.approx(-1.0)


@pytest.mark.parametrize(
    ("candidates", "config", "why"),
    [
        ([replace(record(1), evaluation_id="x")], "", "their evaluation_id differs"),
        ([record(1)], "rank_by: params\n", "different scores (proxy_accuracy and params"),
        ([record(1)], "limits: ['params<=3']\n", "different limits"),
        ([], "", "not both have candidates"),
        ([record(1, status=Status.FAILED)], "", "not both have candidates"),
    ],
)
def test_scores_that_cannot_be_compared_are_not(first, tmp_path, candidates, config, why):
    verdict = compare(first, write(tmp_path / "b", candidates, config=config)).by_score
    assert verdict.better is None
    assert why in (verdict.why_not or "")


def test_finals_of_other_images_or_none_cannot_be_compared(first, tmp_path):
    other = write(tmp_path / "b", [], [final(0)], facts=FACTS | {"data": "d2"})
    assert "different images" in (compare(first, other).by_validation.why_not or "")
    none = write(tmp_path / "c", [])
    verdict = compare(first, none).by_validation
    assert (verdict.better, verdict.second) == (None, None)
    assert "not both have fully trained" in (verdict.why_not or "")
    assert compare(first, none).spearman is None
