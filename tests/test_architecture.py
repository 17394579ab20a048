import copy
import json
import pickle
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtn_nas.architecture import Architecture

VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
CHOICES = st.dictionaries(st.text(), VALUES, max_size=6)

untimed = settings(deadline=None)


@untimed
@given(space=st.text(), choices=CHOICES)
def test_an_architecture_survives_json(space, choices):
    architecture = Architecture(space, choices)
    again = Architecture.from_json(space, architecture.to_json())
    assert again == architecture
    assert again.key == architecture.key


@untimed
@given(choices=CHOICES)
def test_json_is_one_compact_line_of_sorted_choices(choices):
    text = Architecture("s", choices).to_json()
    assert text.isascii()
    assert "\n" not in text
    assert list(json.loads(text).items()) == sorted(choices.items())


def test_the_json_of_equal_choices_is_equal_byte_for_byte():
    text = '{"depth":2,"norm":"batch","residual":false,"width":0.5}'
    choices = {"width": 0.5, "residual": False, "norm": "batch", "depth": 2}
    assert Architecture("s", choices).to_json() == text


@untimed
@given(choices=CHOICES)
def test_the_order_of_choices_does_not_matter(choices):
    backwards = dict(reversed(choices.items()))
    one, other = Architecture("s", choices), Architecture("s", backwards)
    assert one == other
    assert one.key == other.key
    assert len({one, other}) == 1


@untimed
@given(space=st.text(), choices=CHOICES)
def test_a_key_is_16_hex_digits(space, choices):
    key = Architecture(space, choices).key
    assert len(key) == 16
    assert set(key) <= set("0123456789abcdef")


def test_keys_do_not_change_between_releases():
    assert Architecture("conv_chain", {"depth": 2, "norm": "batch_norm"}).key == "2f828413f82583fc"


@pytest.mark.parametrize(
    "other",
    [
        Architecture("other", {"width": 16}),
        Architecture("s", {"width": 32}),
        Architecture("s", {"height": 16}),
        Architecture("s", {"width": "16"}),
        Architecture("s", {"width": 16, "depth": None}),
        Architecture("s", {}),
    ],
)
def test_other_spaces_and_choices_have_other_keys(other):
    architecture = Architecture("s", {"width": 16})
    assert other != architecture
    assert other.key != architecture.key


def test_nothing_of_an_architecture_can_be_changed():
    choices = {"width": 16}
    architecture = Architecture("s", choices)
    with pytest.raises(FrozenInstanceError):
        architecture.space = "other"
    with pytest.raises(TypeError):
        architecture.choices["width"] = 32
    choices["width"] = 32
    assert architecture == Architecture("s", {"width": 16})


@untimed
@given(choices=CHOICES)
def test_an_architecture_travels_between_processes_and_can_be_copied(choices):
    architecture = Architecture("s", choices)
    there = pickle.loads(pickle.dumps(architecture))  # noqa: S301  # our own bytes
    for other in (there, copy.copy(architecture), copy.deepcopy(architecture)):
        assert other == architecture
        assert other.key == architecture.key
