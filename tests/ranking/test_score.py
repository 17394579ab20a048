import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from gtn_nas.errors import ConfigError
from gtn_nas.ranking.score import Aggregation, Score

from ..results.samples import record

NAME = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=5)
BOTH = Score.parse("proxy_accuracy+synflow")
PRODUCT = Score.parse("proxy_accuracy*synflow")


def scored(*values):
    """Records with these values of accuracy and synflow."""
    return [
        record(0, proxy_accuracy=a, extra={} if s is None else {"synflow": s}) for a, s in values
    ]


@given(st.lists(NAME, min_size=1, max_size=4), st.sampled_from(Aggregation), st.data())
def test_its_text_is_the_one_that_was_read_but_for_spaces(columns, aggregation, data):
    spaces = st.text(" ", max_size=2)
    text = aggregation.join(f"{data.draw(spaces)}{n}{data.draw(spaces)}" for n in columns)
    score = Score.parse(text)
    assert score.columns == tuple(columns)
    assert str(score) == aggregation.join(columns)
    assert Score.parse(str(score)) == score
    assert len(columns) == 1 or score.aggregation is aggregation


def test_one_that_aggregates_in_two_ways_is_refused():
    with pytest.raises(ConfigError, match=r"'a\+b\*c' joins columns by \+ and by \*; use one"):
        Score.parse("a+b*c")


def test_columns_can_be_left_out():
    score = Score.parse("a*b*c")
    assert score.among(["c", "a", "d"]) == ["a", "c"]
    assert score.without(["b"]) == Score.parse("a*c")
    assert score.without(["b", "c"]) == Score.parse("a")
    assert score.without("abc") is None


def test_losses_have_the_sign_by_which_lower_is_better():
    some = record(0, proxy_accuracy=0.5, proxy_loss=2.0, params=7, extra={"synflow": math.inf})
    losses = Score.parse("proxy_accuracy+proxy_loss+params+synflow+nwot").losses(some)
    assert losses == [-0.5, 2.0, -7, None, None]


def test_the_arithmetic_mean_is_of_ranks():
    records = scored((0.9, 1.0), (0.8, 4.0), (0.7, 3.0), (0.6, 2.0))
    assert BOTH.ranks(records) == [2.5, 1.5, 2.5, 3.5]
    assert BOTH.ranks([]) == []


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=9))
def test_equal_values_share_their_rank(values):
    records = [record(0, proxy_accuracy=a, proxy_loss=loss) for a, loss in values]
    by_accuracy = rankdata([-a for a, _ in values])
    by_loss = rankdata([loss for _, loss in values])
    assert Score.parse("proxy_accuracy").ranks(records) == by_accuracy.tolist()
    both = Score.parse("proxy_accuracy+proxy_loss")
    assert both.ranks(records) == list((by_accuracy + by_loss) / 2)


def test_the_geometric_mean_is_of_places_from_the_bottom():
    records = scored((0.9, 1.0), (0.8, 3.0), (0.7, 4.0), (0.6, 2.0))
    places = [4 * 1, 3 * 3, 2 * 4, 1 * 2]
    assert PRODUCT.ranks(records) == [5 - p**0.5 for p in places]


def test_with_the_geometric_mean_whoever_is_poor_in_one_column_is_poor():
    records = scored((0.9, 1.0), (0.8, 2.0), (0.7, 3.0), (0.6, 4.0), (0.95, 0.0))
    assert set(BOTH.ranks(records)) == {3}
    assert max(PRODUCT.ranks(records)) == PRODUCT.ranks(records)[-1]


def test_whoever_has_no_value_ranks_last_in_that_column_only():
    records = scored((0.9, None), (0.8, 3.0), (0.7, 2.0), (0.6, 1.0), (None, math.nan))
    assert Score.parse("synflow").ranks(records) == [4.5, 1, 2, 3, 4.5]
    assert BOTH.ranks(records) == [2.75, 1.5, 2.5, 3.5, 4.75]


@given(st.lists(st.tuples(*[st.none() | st.integers(0, 3)] * 3), max_size=9))
def test_ranks_follow_from_losses_alone(values):
    records = [
        replace(record(0), proxy_accuracy=a, proxy_loss=loss, params=p) for a, loss, p in values
    ]
    score = Score.parse("proxy_accuracy*proxy_loss*params")
    losses = [[r[i] for r in map(score.losses, records)] for i in range(3)]
    assert score.ranks(records) == score.ranks_by_losses(losses)
