import ast

import pytest

from gtn_nas.export.expressions import (
    WIDTH,
    Argument,
    Call,
    Code,
    Number,
    flat,
    lines,
    literal,
    numbers_in,
    skeleton,
    with_numbers,
)

CONV = Call(
    "nn.Conv2d",
    (
        Argument(Number(3, "in_channels")),
        Argument(Number(8, "out_channels")),
        Argument(Number(1, "stride"), "stride", 1),
        Argument(Number((0, 1), "padding"), "padding", 0),
        Argument(Code("False"), "bias"),
    ),
)


def test_a_call_leaves_out_numbers_that_are_the_default():
    assert flat(CONV) == "nn.Conv2d(3, 8, padding=(0, 1), bias=False)"


def test_a_number_that_becomes_a_parameter_is_written_though_it_has_a_default():
    named = with_numbers(CONV, (Code(n.role) for n in numbers_in(CONV)))
    assert flat(named) == (
        "nn.Conv2d(in_channels, out_channels, stride=stride, padding=padding, bias=False)"
    )


def test_calls_that_differ_in_numbers_alone_share_a_skeleton():
    other = with_numbers(CONV, (Number(9, n.role) for n in numbers_in(CONV)))
    assert other != CONV
    assert skeleton(other) == skeleton(CONV)


@pytest.mark.parametrize(("name", "words", "count"), [("x", 6, 1), ("x" * 20, 6, 3), ("x", 9, 11)])
def test_what_does_not_fit_on_a_line_goes_on_the_next_or_one_a_line(name, words, count):
    call = Call("f", tuple(Argument(Code("word" * 3)) for _ in range(words)))
    text = lines(f"{name} = ", call, depth=1)
    assert len(text) == count
    assert all(len(line) <= WIDTH for line in text)
    assert "".join(line.strip() for line in text).count("word" * 3) == words


def test_three_equal_layers_in_a_row_become_a_loop():
    relu = Argument(Call("nn.ReLU", ()))
    text = lines("", Call("nn.Sequential", (relu, relu, relu), one_a_line=True))
    assert text == ["nn.Sequential(", "    *(nn.ReLU() for _ in range(3)),", ")"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (0.5, "0.5"),
        (True, "True"),
        (None, "None"),
        ('a"b', '"a\\"b"'),
        ((1,), "(1,)"),
        ([1, (2.0, "c")], '[1, (2.0, "c")]'),
    ],
)
def test_plain_values_are_written_as_python_does(value, text):
    assert literal(value) == text
    assert ast.literal_eval(text) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1}])
def test_anything_else_is_refused(value):
    with pytest.raises(ValueError, match="cannot be written"):
        literal(value)
