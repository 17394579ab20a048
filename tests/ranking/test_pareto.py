import math

from hypothesis import given, settings
from hypothesis import strategies as st

from gtn_nas.ranking.pareto import dominates, front

VALUE = st.none() | st.sampled_from([0.0, 1.0, 2.0, 3.0, math.nan, math.inf, -math.inf])
FINITE = st.sampled_from([0.0, 1.0, 2.0, 3.0])


def lists(value, **sizes):
    """Items of two or three objectives each."""
    return st.integers(2, 3).flatmap(
        lambda n: st.lists(st.tuples(*[value] * n), max_size=30, **sizes)
    )


def complete(values):
    return all(value is not None and math.isfinite(value) for value in values)


@given(items=lists(VALUE))
def test_the_front_is_what_nothing_dominates(items):
    found = front(items, lambda item: item)
    assert found == [
        item
        for item in items
        if complete(item) and not any(dominates(other, item) for other in items)
    ]


@given(items=lists(VALUE))
def test_everything_else_is_dominated_by_the_front(items):
    found = front(items, lambda item: item)
    for item in filter(complete, items):
        assert item in found or any(dominates(best, item) for best in found)


@given(items=lists(FINITE, min_size=1), data=st.data())
def test_the_front_does_not_depend_on_the_order(items, data):
    shuffled = data.draw(st.permutations(items))
    assert sorted(front(shuffled, lambda i: i)) == sorted(front(items, lambda i: i)) != []


@settings(max_examples=300)
@given(triple=lists(FINITE, min_size=3))
def test_dominance_is_a_strict_order(triple):
    a, b, c = triple[:3]
    assert not dominates(a, a)
    assert not (dominates(a, b) and dominates(b, a))
    assert dominates(a, c) or not (dominates(a, b) and dominates(b, c))


@given(pair=lists(VALUE, min_size=2))
def test_what_misses_a_value_dominates_nothing_and_is_dominated_by_nothing(pair):
    a, b = pair[:2]
    if not (complete(a) and complete(b)):
        assert not dominates(a, b)
        assert not dominates(b, a)


def test_one_objective_leaves_the_best_and_its_equals():
    items = [("a", 2.0), ("b", 1.0), ("c", None), ("d", 1.0)]
    assert [name for name, _ in front(items, lambda item: item[1:])] == ["b", "d"]


def test_no_items_have_no_front():
    assert front([], lambda item: item) == []
