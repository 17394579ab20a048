import math
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtn_nas.ranking import ranking
from gtn_nas.ranking.limits import Limit
from gtn_nas.ranking.ranking import order_by
from gtn_nas.ranking.score import Score
from gtn_nas.results.query import load_run
from gtn_nas.trial import Status

from ..results.samples import record, write_run


def ranked(records, rank_by="proxy_accuracy", limits=()):
    return ranking.ranked(records, Score.parse(rank_by), limits)


SCORE = st.none() | st.sampled_from([0.0, 0.25, 0.5, 1.0, math.nan, math.inf, -math.inf])
CANDIDATE = st.fixed_dictionaries(
    {
        "status": st.sampled_from([Status.OK, Status.OK, Status.FAILED]),
        "proxy_accuracy": SCORE,
        "proxy_loss": SCORE,
        "params": st.none() | st.integers(1, 3),
        "extra": st.just({}) | st.builds(lambda s: {"synflow": s}, st.sampled_from([1.0, 2.0])),
    }
)


LIMITS = st.lists(
    st.sampled_from(["params<=1", "params>=2", "proxy_loss<=0.25", "synflow>=2", "nothing<=1"]),
    max_size=2,
)
PLACES = st.lists(
    st.tuples(st.integers(0, 6), st.sampled_from([8, 16, 32])), min_size=1, max_size=12, unique=True
)


AGGREGATES = [
    "proxy_accuracy+synflow",
    "proxy_loss + params + proxy_accuracy",
    "nothing+synflow",
    "nothing+train_s",
    "proxy_accuracy*synflow",
    "proxy_loss * params * proxy_accuracy",
    "nothing*synflow",
]


@pytest.mark.parametrize("rank_by", ["proxy_accuracy", "params", "synflow", "train_s", *AGGREGATES])
@settings(deadline=None, max_examples=15)
@given(places=PLACES, limits=LIMITS, data=st.data())
def test_records_and_sql_agree(rank_by, places, limits, data):
    records = [
        replace(record(index, **data.draw(CANDIDATE)), budget=budget, tell_index=i)
        for i, (index, budget) in enumerate(places)
    ]
    parsed = [Limit.parse(text) for text in limits]
    config = f"rank_by: {rank_by}\nlimits: {limits}\n"
    with tempfile.TemporaryDirectory() as folder:
        run = load_run(write_run(Path(folder, "run"), records, config=config))
        expected = [(r.key, r.budget) for r in ranked(records, rank_by, parsed)]
        assert [(row["key"], row["budget"]) for row in run.query()] == expected


def test_success_then_accuracy_then_loss_then_size_decide():
    best = record(0, proxy_accuracy=0.9, proxy_loss=0.1, params=10)
    order = [
        best,
        replace(best, params=20, key="a"),
        replace(best, proxy_loss=0.2, params=1, key="b"),
        replace(best, proxy_accuracy=0.8, proxy_loss=0.0, key="c"),
        replace(best, proxy_accuracy=math.nan, key="d"),
        replace(best, status=Status.DIVERGED, proxy_accuracy=0.95, key="e"),
    ]
    assert ranked(reversed(order)) == order


def test_a_candidate_appears_once_at_its_largest_budget():
    first, second = record(0), record(1)
    halved = [replace(first, budget=8), replace(second, budget=8), replace(first, budget=16)]
    assert ranked(halved) == [halved[2], halved[1]]
    failed = replace(first, budget=16, status=Status.DIVERGED)
    assert ranked([halved[0], failed, halved[1]]) == [halved[1], failed]


def test_whoever_took_more_of_the_lesson_ranks_first_whatever_the_score():
    stopped, whole = record(0, proxy_accuracy=0.9), record(1, proxy_accuracy=0.2)
    stopped = replace(stopped, budget=16)
    assert ranked([stopped, whole]) == [whole, stopped]


def test_whoever_is_beyond_a_limit_ranks_after_all_within_and_before_failures():
    beyond, within = record(0, params=9000), record(1, params=10)
    stopped, failed = replace(record(2, params=10), budget=8), record(3, status=Status.OOM)
    order = [within, stopped, beyond, failed]
    assert ranked(reversed(order), limits=[Limit.parse("params<=100")]) == order


def test_the_key_breaks_ties_whoever_finished_first():
    tied = [record(0, params=1, proxy_accuracy=0.5, tell_index=i) for i in range(3)]
    tied = [replace(r, key=key) for r, key in zip(tied, "cab", strict=True)]
    assert [r.key for r in ranked(tied)] == ["a", "b", "c"]


# several columns


def keyed(**candidates):
    """Records with these keys and these values of accuracy and synflow."""
    return [
        replace(record(0, proxy_accuracy=a, extra={} if s is None else {"synflow": s}), key=key)
        for key, (a, s) in candidates.items()
    ]


BOTH = "proxy_accuracy+synflow"


def test_the_mean_of_ranks_decides():
    records = keyed(a=(0.9, 1.0), b=(0.8, 4.0), c=(0.7, 3.0), d=(0.6, 2.0))
    assert [r.key for r in ranked(reversed(records), BOTH)] == ["b", "a", "c", "d"]
    records = keyed(a=(0.9, 1.0), b=(0.8, 3.0), c=(0.7, 4.0), d=(0.6, 2.0))
    assert [r.key for r in ranked(records, "proxy_accuracy*synflow")] == ["b", "c", "a", "d"]
    assert [r.key for r in ranked(records, BOTH)] == ["b", "c", "a", "d"]


def test_whoever_is_last_in_one_column_of_a_product_ranks_low():
    records = keyed(a=(0.9, 1.0), b=(0.8, 2.0), c=(0.7, 3.0), d=(0.6, 4.0), e=(0.95, 0.0))
    assert [r.key for r in ranked(records, "proxy_accuracy*synflow")] == ["b", "a", "c", "d", "e"]


def test_whoever_lacks_a_column_ranks_last_by_that_column_only():
    records = keyed(a=(0.9, None), b=(0.8, 3.0), c=(0.7, 2.0), d=(0.6, 1.0), e=(None, math.nan))
    assert [r.key for r in ranked(records, BOTH)] == ["b", "c", "a", "d", "e"]


@pytest.mark.parametrize(
    "values",
    [
        {"a": (0.9, 1.0), "b": (0.9, 3.0), "c": (0.9, 2.0), "d": (0.5, 4.0)},
        {"a": (0.6, None), "b": (0.8, None), "c": (0.7, None), "d": (0.5, 4.0)},
        {"a": (0.6, math.nan), "b": (0.8, None), "c": (0.7, math.inf), "d": (0.5, 4.0)},
    ],
    ids=["equal", "missing", "not finite"],
)
def test_in_sql_too_equal_values_and_missing_ones_share_their_rank(tmp_path, values):
    """With the best of the shared ranks for each, ``c`` and ``a`` would come before ``d``."""
    losses = (0.1, 0.4, 0.3, 0.2)  # decide where mean ranks are equal
    records = [replace(r, proxy_loss=loss) for r, loss in zip(keyed(**values), losses, strict=True)]
    run = load_run(write_run(tmp_path / "run", records, config=f"rank_by: {BOTH}\n"))
    assert [r.key for r in ranked(records, BOTH)] == list("bdca")
    assert [row["key"] for row in run.query()] == list("bdca")


@pytest.mark.parametrize(
    ("change", "limits"),
    [({"budget": 8}, []), ({"status": Status.FAILED}, []), ({"params": 5000}, ["params<=2000"])],
    ids=["of another budget", "failed", "beyond a limit"],
)
def test_ranks_are_those_among_candidates_of_equal_standing(change, limits):
    """Between the other two, it would decide that the first is better on the whole."""
    one, two, between = keyed(a=(0.9, 1.0), b=(0.8, 2.0), c=(0.85, 0.5))
    one, two = replace(one, proxy_loss=0.2), replace(two, proxy_loss=0.1)
    assert [r.key for r in ranked([one, two, between], BOTH)] == ["a", "b", "c"]
    apart = replace(between, **change)
    order = ranked([one, two, apart], BOTH, [Limit.parse(text) for text in limits])
    assert [r.key for r in order] == ["b", "a", "c"]


def test_the_larger_network_ranks_first_and_costs_more():
    small, large = record(0, params=10, flops=5, depth=2), record(1, params=20, flops=6, depth=3)
    for column in ("params", "flops", "depth"):
        assert ranked([small, large], column) == [large, small]
        limit = Limit.parse(f"{column}<={getattr(small, column)}")
        assert ranked([small, large], column, [limit]) == [small, large]
    equal = replace(large, proxy_accuracy=small.proxy_accuracy)
    assert ranked([equal, small]) == [small, equal]


@pytest.mark.parametrize(
    ("column", "order"),
    [("proxy_loss", "ASC"), ("train_s", "ASC"), ("synflow", "DESC"), ("params", "DESC")],
)
def test_sql_sorts_a_score_in_its_direction(column, order):
    assert f" {order} " in order_by(Score.parse(column), [column]).split(", ")[3]
