import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtn_nas.errors import ConfigError, UnknownNameError
from gtn_nas.ranking.columns import NUMERIC_COLUMNS
from gtn_nas.ranking.goals import Goals, RunningLosses, named_columns
from gtn_nas.ranking.score import Score
from gtn_nas.trial import Status

from ..results.samples import record

COLUMNS = [*NUMERIC_COLUMNS, "synflow"]


def goals(rank_by="proxy_accuracy", *, objectives=(), limits=()):
    return Goals.parse(rank_by, objectives, limits, COLUMNS)


def keys(records):
    return [r.key for r in records]


def candidates(*values):
    """Candidates with these accuracies and numbers of parameters."""
    return [record(i, proxy_accuracy=a, params=p) for i, (a, p) in enumerate(values)]


def scored(accuracy, synflow=None, **values):
    """A candidate with these scores."""
    extra = {} if synflow is None else {"synflow": synflow}
    return record(0, proxy_accuracy=accuracy, extra=extra, **values)


@pytest.mark.parametrize(
    ("rank_by", "text"),
    [
        ("parms", "unknown column to rank by 'parms'; did you mean params"),
        ("proxy_accuracy+parms", "unknown column to rank by 'parms'; did you mean params"),
        ("proxy_accuracy+", "unknown column to rank by ''"),
        ("synflow + synflow", r"'synflow \+ synflow' names a column twice; leave one out"),
    ],
)
def test_a_score_of_unknown_or_equal_columns_is_refused(rank_by, text):
    with pytest.raises(ConfigError, match=text):
        goals(rank_by)


def test_the_whole_score_is_no_objective_and_a_part_of_it_may_be():
    with pytest.raises(ConfigError, match="'params' is what candidates are ranked by"):
        goals("params", objectives=["params"])
    assert goals("synflow+params", objectives=["params"]).columns == ("synflow", "params")


def test_size_in_the_score_promises_accuracy_and_as_objective_it_costs():
    both = goals("synflow*params", objectives=["params"])
    large, small, poor = (
        replace(record(i, params=p, extra={"synflow": s}), key=f"{i}")
        for i, (p, s) in enumerate([(30, 3.0), (10, 2.0), (20, 1.0)])
    )
    assert both.front(both.ranked([poor, small, large])) == [large, small]


def test_columns_are_named_once_and_those_of_the_score_first():
    some = goals("synflow + params", objectives=["flops"], limits=["params<=9", "depth<=3"])
    assert some.score == Score(("synflow", "params"))
    assert some.columns == ("synflow", "params", "flops", "depth")


def test_columns_are_known_before_the_score_is():
    assert named_columns(None, ["params"], ["depth<=3", "params>=1"]) == ("params", "depth")
    assert named_columns("flops*depth", ["params"], ["depth<=3"]) == ("flops", "depth", "params")
    with pytest.raises(ConfigError, match="'params' is named twice"):
        named_columns(None, ["params", "params"], [])


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
    losses = RunningLosses(goals(objectives=["params", "train_s"]))
    assert losses(record(0, params=7, train_s=2.0)) == [-1.0, 7, 2.0]
    assert losses(record(0, params=7, train_s=math.nan)) == [-1.0, 7, None]
    assert losses(record(0, status=Status.OOM)) == [None] * 3
    by_size = RunningLosses(goals("params", objectives=["flops"]))
    assert by_size(record(0, params=7, flops=9)) == [-7, 9]  # a large network at little cost


def test_the_loss_of_an_aggregate_is_the_mean_share_of_earlier_ones_that_are_better():
    losses = RunningLosses(goals("proxy_accuracy+synflow", objectives=["params"]))
    assert losses(scored(0.5, 1.0, params=7)) == [0.5, 7]
    assert losses(scored(0.6, 2.0, params=7)) == [0.25, 7]
    assert losses(scored(0.6, 0.0, params=7)) == [pytest.approx((0.5 + 2.5) / 3 / 2), 7]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(-9, 9)), max_size=9), st.data())
def test_whoever_is_better_in_everything_has_the_lower_loss_of_an_aggregate(seen, data):
    worse = data.draw(st.tuples(st.floats(0, 1), st.floats(-9, 9)))
    better = worse[0] + data.draw(st.floats(0, 1)), worse[1] + data.draw(st.floats(0, 9))
    found = []
    for last in (worse, better):
        losses = RunningLosses(goals("proxy_accuracy+synflow"))
        for values in seen:
            losses(scored(*values))
        found += losses(scored(*last))
    assert 0 < found[1] <= found[0] < 1


@pytest.mark.parametrize(
    "other", [scored(0.9), scored(math.nan, 1.0), scored(0.9, 1.0, status=Status.FAILED)]
)
def test_what_lacks_a_part_of_an_aggregate_has_no_loss_and_changes_no_other(other):
    alone, beside = (RunningLosses(goals("proxy_accuracy+synflow")) for _ in range(2))
    assert beside(other) == [None]
    records = [scored(0.5, 1.0), scored(0.6, 0.0)]
    assert [beside(r) for r in records] == [alone(r) for r in records]


def test_goals_can_do_without_what_is_known_only_later():
    whole = goals(
        "synflow + proxy_loss",
        objectives=["params", "proxy_accuracy"],
        limits=["proxy_loss<=1", "params>=9"],
    )
    without = whole.without(["proxy_loss", "proxy_accuracy"])
    assert without == goals("synflow", objectives=["params"], limits=["params>=9"])
    assert whole.without(["flops"]) == whole


def test_goals_cannot_do_without_their_whole_score():
    with pytest.raises(ConfigError, match=r"synflow alone .* --objective synflow or --limit 'synf"):
        goals("synflow", objectives=["params"]).without(["synflow"])


def test_the_front_weighs_score_against_objectives():
    ranking = candidates((0.9, 100), (0.8, 100), (0.8, 50), (0.7, 60), (0.6, 10))
    both = goals(objectives=["params"])
    assert keys(both.front(ranking)) == keys([ranking[0], ranking[2], ranking[4]])
    assert both.wanted(ranking) == both.front(ranking)


def test_a_score_that_aggregates_in_two_ways_is_refused():
    with pytest.raises(ConfigError, match="joins columns by \\+ and by \\*; use one of them"):
        Goals.parse("params+flops*proxy_loss", (), ())


def test_what_is_known_late_is_left_out_of_a_score_as_it_was_joined():
    columns = {"params", "proxy_loss", "latency_ms"}
    for how in "+*":
        goals = Goals.parse(how.join(["params", "latency_ms", "proxy_loss"]), (), (), columns)
        assert str(goals.without({"latency_ms"}).score) == f"params{how}proxy_loss"


def test_the_front_weighs_aggregated_ranks():
    """The first has the best accuracy, and still is worse in the score than the second."""
    both = goals("proxy_accuracy+synflow", objectives=["params"])
    values = [(0.9, 1.0, 30), (0.8, 3.0, 20), (0.7, 2.0, 10)]
    records = [
        replace(scored(accuracy, synflow, params=params), key=str(params))
        for accuracy, synflow, params in values
    ]
    unscored = replace(scored(0.95, params=1), key="unscored")
    ranking = both.ranked([*records, unscored])
    assert keys(both.front(ranking)) == ["20", "10"]
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
