import inspect
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtn_nas import errors
from gtn_nas.errors import (
    MAX_ERROR,
    ConfigError,
    EnvironmentFailure,
    GtnNasError,
    UnknownNameError,
    one_line,
)

FAILURES = [
    error
    for _, error in inspect.getmembers(errors, inspect.isclass)
    if issubclass(error, GtnNasError)
]


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: error.__name__)
def test_every_failure_is_bad_input_or_a_failed_environment(error):
    assert error.exit_code == (1 if issubclass(error, EnvironmentFailure) else 2)
    assert error.__doc__


def test_an_unknown_name_is_answered_with_the_nearest():
    error = UnknownNameError("data set", "mnits", ["svhn", "mnist", "cifar10"])
    assert isinstance(error, ConfigError)
    assert str(error) == "unknown data set 'mnits'; did you mean mnist?"


def test_a_name_near_to_none_is_answered_with_all_in_order():
    error = UnknownNameError("strategy", "zzz", {"random": 1, "evolution": 2})
    assert str(error) == "unknown strategy 'zzz'; known: evolution, random"


def test_an_unknown_name_keeps_its_parts_between_processes():
    error = UnknownNameError("data set", "mnits", iter(["mnist", "digits"]))
    there = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
    assert isinstance(there, UnknownNameError)
    assert str(there) == str(error)
    assert (there.kind, there.name, there.known) == ("data set", "mnits", ["digits", "mnist"])


@settings(deadline=None)
@given(text=st.text(max_size=2000))
def test_whatever_was_raised_is_told_in_one_printable_line(text):
    line = one_line(ValueError(text))
    assert line.startswith("ValueError")
    assert line.isprintable()
    assert len(line) <= MAX_ERROR


def test_words_are_kept_and_white_space_is_not():
    assert one_line(ValueError("wrong\n  shape\t(3, 4)\x1b[31m")) == (
        "ValueError: wrong shape (3, 4) [31m"
    )
    assert one_line(KeyError()) == "KeyError"


def test_a_long_story_is_cut():
    assert one_line(RuntimeError("x" * 10_000)) == ("RuntimeError: " + "x" * 1000)[:MAX_ERROR]


def test_an_error_that_cannot_be_printed_is_named():
    class BrokenError(Exception):
        def __str__(self):
            raise RuntimeError("not even this")

    assert one_line(BrokenError()) == "BrokenError"
