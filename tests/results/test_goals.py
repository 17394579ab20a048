import math
from dataclasses import replace

import pytest

from gtn_nas.errors import ConfigError, UnknownNameError
from gtn_nas.results.goals import Goals
from gtn_nas.trial import Status

from .samples import record


def goals(*, objectives=(), limits=()):
    return Goals.parse("proxy_accuracy", objectives, limits)


def keys(records):
    return [r.key for r in records]


def candidates(*values):
    """Candidates with these accuracies and numbers of parameters."""
    return [record(i, proxy_accuracy=a, params=p) for i, (a, p) in enumerate(values)]


@pytest.mark.parametrize(
    ("objectives", "limits", "kind", "text"),
    [
        (["parms"], [], UnknownNameError, "unknown objective 'parms'; did you mean params"),
        (["choices"], [], UnknownNameError, "unknown objective"),
        ([], ["parms<=5"], UnknownNameError, "column to limit 'parms'; did you mean params"),
        ([], ["params<5"], ConfigError, "'params<5' is no limit"),
        (["params", "params"], [], ConfigError, "'params' is named twice"),
        (["proxy_accuracy"], [], ConfigError, "what candidates are ranked by"),
    ],
)
def test_goals_that_make_no_sense_are_refused(objectives, limits, kind, text):
    with pytest.raises(kind, match=text):
        goals(objectives=objectives, limits=limits)


def test_only_successes_within_all_limits_are_eligible():
    limited = goals(limits=["params<=2000", "flops<=10"])
    good = record(0, params=2000, flops=10)
    assert limited.eligible(good)
    assert not limited.eligible(replace(good, status=Status.DIVERGED))
    assert not limited.eligible(replace(good, params=2001))
    assert not limited.eligible(replace(good, flops=None))


def test_losses_are_the_lower_the_better_and_none_of_a_failure():
    both = goals(objectives=["params", "train_s"])
    assert both.losses(record(0, params=7, train_s=2.0)) == [-1.0, 7, 2.0]
    assert both.losses(record(0, params=7, train_s=math.nan)) == [-1.0, 7, None]
    assert both.losses(record(0, status=Status.OOM)) == [None] * 3


def test_the_front_weighs_score_against_objectives():
    ranking = candidates((0.9, 100), (0.8, 100), (0.8, 50), (0.7, 60), (0.6, 10))
    both = goals(objectives=["params"])
    assert keys(both.front(ranking)) == keys([ranking[0], ranking[2], ranking[4]])
    assert both.wanted(ranking) == both.front(ranking)


def test_the_front_is_of_eligible_candidates_at_one_budget():
    ranking = candidates((0.9, 100), (0.8, 50), (0.7, 5), (0.6, 40))
    ranking[2] = replace(ranking[2], budget=16)
    ranking.append(record(9, status=Status.FAILED, params=1))
    both = goals(objectives=["params"], limits=["params<=99"])
    assert keys(both.front(ranking)) == keys([ranking[1], ranking[3]])
    assert both.front([]) == []


def test_without_objectives_every_eligible_candidate_is_wanted():
    ranking = candidates((0.9, 100), (0.8, 50), (0.7, 60))
    assert goals().wanted(ranking) == ranking
    assert goals(limits=["params<=60"]).wanted(ranking) == ranking[1:]
