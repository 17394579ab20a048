"""Python expressions, and how they are laid out on lines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

INDENT = " " * 4

WIDTH = 100 - len(INDENT)
"""Characters of a line of a method at most, in a class whose lines have 100."""

REPEATED = 3
"""So many equal layers in a row are written as one that is repeated."""


@dataclass(frozen=True)
class Code:
    """Finished text on one line."""

    text: str


@dataclass(frozen=True)
class Number:
    """A number or a tuple of numbers, which a class can make one of its parameters.

    Attributes:
        value: what it is.
        role: what it is called where it stands, e.g. ``in_channels``.
    """

    value: Any
    role: str


@dataclass(frozen=True)
class Argument:
    """What a call is given; it is left out where it is a number that is the default anyway."""

    value: Expression
    keyword: str | None = None
    default: Any = None


@dataclass(frozen=True)
class Call:
    """A call, or with other brackets a list.

    Attributes:
        function: what is called.
        arguments: what it is given.
        brackets: what stands around them.
        one_a_line: give every argument a line of its own, also where there is room.
    """

    function: str
    arguments: tuple[Argument, ...]
    brackets: tuple[str, str] = ("(", ")")
    one_a_line: bool = False


Expression = Code | Number | Call


def numbers_in(expression: Expression) -> list[Number]:
    """Return the numbers of an expression from left to right."""
    if isinstance(expression, Call):
        return [n for a in expression.arguments for n in numbers_in(a.value)]
    return [expression] if isinstance(expression, Number) else []


def skeleton(expression: Expression) -> Expression:
    """Return an expression without the values of its numbers."""
    return with_numbers(expression, (replace(n, value=None) for n in numbers_in(expression)))


def with_numbers(expression: Expression, values: Iterator[Expression]) -> Expression:
    """Return an expression with something else in place of its numbers, from left to right."""
    if isinstance(expression, Number):
        return next(values)
    if isinstance(expression, Code):
        return expression
    arguments = (replace(a, value=with_numbers(a.value, values)) for a in expression.arguments)
    return replace(expression, arguments=tuple(arguments))


def literal(value: Any) -> str:
    """Write a plain value as Python does, with double quotes.

    Raises:
        ValueError: it is no plain value.
    """
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, list | tuple):
        inside = ", ".join(map(literal, value))
        if isinstance(value, list):
            return f"[{inside}]"
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if value is None or isinstance(value, bool | int):
        return repr(value)
    if isinstance(value, float) and abs(value) < float("inf"):
        return repr(value)
    raise ValueError(f"{type(value).__name__} cannot be written")


def flat(expression: Expression) -> str:
    """Write an expression on one line."""
    if isinstance(expression, Code):
        return expression.text
    if isinstance(expression, Number):
        return literal(expression.value)
    before, after = expression.brackets
    return f"{expression.function}{before}{', '.join(_parts(expression))}{after}"


def lines(before: str, expression: Expression, after: str = "", depth: int = 0) -> list[str]:
    """Write a statement that holds an expression, on as many lines as it needs.

    Args:
        before: what stands before the expression, e.g. ``"x = "``.
        expression: what may be broken into lines.
        after: what stands after it.
        depth: how far the statement is indented.
    """
    whole = f"{INDENT * depth}{before}{flat(expression)}{after}"
    if not isinstance(expression, Call):
        return [whole]
    if len(whole) <= WIDTH and not _is_tall(expression):
        return [whole]
    first, last = expression.brackets
    head = f"{INDENT * depth}{before}{expression.function}{first}"
    tail = f"{INDENT * depth}{last}{after}"
    inside = INDENT * (depth + 1) + ", ".join(_parts(expression))
    if len(inside) <= WIDTH and not _is_tall(expression):
        return [head, inside, tail]
    body: list[str] = []
    for argument, count in _runs(_written(expression)):
        keyword = f"{argument.keyword}=" if argument.keyword else ""
        one = lines(keyword, argument.value, ",", depth + 1)
        is_layer = isinstance(argument.value, Call) and len(one) == 1
        if is_layer and count >= REPEATED:
            text = f"*({flat(argument.value)} for _ in range({count})),"
            body.append(INDENT * (depth + 1) + text)
        else:
            body += one * count
    return [head, *body, tail]


def _written(call: Call) -> list[Argument]:
    return [a for a in call.arguments if not _is_default(a)]


def _is_default(argument: Argument) -> bool:
    value, default = argument.value, argument.default
    return isinstance(value, Number) and default is not None and value.value == default


def _parts(call: Call) -> list[str]:
    return [f"{a.keyword}={flat(a.value)}" if a.keyword else flat(a.value) for a in _written(call)]


def _is_tall(expression: Expression) -> bool:
    """Tell whether any part of it must have lines of its own."""
    if not isinstance(expression, Call):
        return False
    return expression.one_a_line or any(_is_tall(a.value) for a in expression.arguments)


def _runs(arguments: Sequence[Argument]) -> Iterator[tuple[Argument, int]]:
    """Yield what is given, and how often in a row."""
    for argument, equal in groupby(arguments):
        yield argument, len(list(equal))
