import math
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtn_nas.ranking.winner import best_first, winner
from gtn_nas.results.parts import to_table, write_part
from gtn_nas.results.query import load_run
from gtn_nas.trial import Status

from ..results.samples import final, write_run

VALUE = st.none() | st.sampled_from([0.0, -0.0, 0.25, 1.0, math.nan, math.inf, -math.inf])
FINAL = st.builds(
    lambda index, **values: final(index, **values),
    st.integers(0, 3),
    status=st.sampled_from([Status.OK, Status.OK, Status.STOPPED, Status.FAILED]),
    validation_accuracy=VALUE,
    validation_loss=VALUE,
)


def made_at(seconds, of):
    return replace(of, created_at=of.created_at.replace(second=0) + timedelta(seconds=seconds))


def run_with(folder, finals):
    """A run with these finals."""
    write_run(folder)
    if finals:
        write_part(folder / "finals" / "part-0.parquet", to_table(finals, "run"))
    return load_run(folder)


@settings(deadline=None, max_examples=60)
@given(st.lists(FINAL, max_size=8), st.randoms(use_true_random=False))
def test_records_and_sql_agree(finals, random):
    times = random.sample(range(50), len(finals))
    finals = [made_at(seconds, of) for seconds, of in zip(times, finals, strict=True)]
    best_of = {}
    for of in best_first(finals):
        best_of.setdefault(of.key, of)
    expected = [(of.key, of.created_at) for of in best_of.values()]
    best = winner(finals)
    with tempfile.TemporaryDirectory() as folder:
        run = run_with(Path(folder, "run"), finals)
        rows, found = run.best_finals(), run.winner
    assert [(row["key"], row["created_at"]) for row in rows] == expected
    assert (found and found["key"]) == (best and best.key)


def test_success_then_accuracy_then_loss_then_key_decide():
    best = final(0, validation_accuracy=0.9, validation_loss=0.0, test_accuracy=0.1)
    order = [
        best,
        replace(best, validation_loss=0.2, test_accuracy=0.9, key="a"),
        replace(best, validation_loss=0.2, key="b"),
        replace(best, validation_loss=None, key="c"),
        replace(best, validation_accuracy=0.0, key="d"),
        replace(best, validation_accuracy=None, key="e"),
        replace(best, status=Status.STOPPED, validation_accuracy=0.95, key="f"),
    ]
    assert best_first(reversed(order)) == order
    assert winner(reversed(order)) == best


def test_nobody_wins_who_did_not_end_well():
    assert winner([]) is None
    assert winner([final(0, status=Status.FAILED, validation_accuracy=0.9)]) is None


@pytest.mark.parametrize("again_s", [-1, 1])
def test_a_network_that_was_trained_twice_counts_by_its_best(tmp_path, again_s):
    good, other = final(0, validation_accuracy=0.9), final(1, validation_accuracy=0.8)
    again = made_at(10 + again_s, replace(good, validation_accuracy=0.7))
    crashed = made_at(10, replace(good, status=Status.CRASHED, validation_accuracy=None))
    finals = [made_at(9.5, good), again, crashed, other]
    run = run_with(tmp_path / "run", finals)
    assert [row["validation_accuracy"] for row in run.best_finals()] == [0.9, 0.8]
    assert run.winner["validation_accuracy"] == winner(finals).validation_accuracy == 0.9


def test_of_equal_trainings_of_one_network_the_later_counts(tmp_path):
    """Its weights are those in the run folder."""
    first = made_at(1, final(0, validation_accuracy=0.9, device="first"))
    later = made_at(2, replace(first, device="later"))
    assert winner([first, later]).device == winner([later, first]).device == "later"
    assert run_with(tmp_path / "run", [first, later]).winner["device"] == "later"
