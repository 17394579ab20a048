"""Python expressions, and their layout on lines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

INDENT = " " * 4

WIDTH = 100 - len(INDENT)
"""Longest line of a method without the indent of its class, in a module of 100 columns."""

REPEATED = 3
"""So many or more equal layers in a row are written as a generator expression."""


@dataclass(frozen=True)
class Code:
    """Finished text on one line."""

    text: str


@dataclass(frozen=True)
class Number:
    """A number or a tuple of numbers, which can become a parameter of a class.

    Attributes:
        value: the number or tuple.
        role: name of the argument or attribute that gets it, e.g. ``in_channels``.
    """

    value: Any
    role: str


@dataclass(frozen=True)
class Argument:
    """An argument of a call; it is not written if it is a number equal to ``default``."""

    value: Expression
    keyword: str | None = None
    default: Any = None


@dataclass(frozen=True)
class Call:
    """A call, or, with other brackets and no function, a list.

    Attributes:
        function: text of the called function.
        arguments: the call's arguments, or the list's items.
        brackets: the brackets around the arguments.
        one_a_line: put every argument on a line of its own, even if all fit on one.
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
    """Return an expression whose numbers are replaced by ``values``, from left to right."""
    if isinstance(expression, Number):
        return next(values)
    if isinstance(expression, Code):
        return expression
    arguments = (replace(a, value=with_numbers(a.value, values)) for a in expression.arguments)
    return replace(expression, arguments=tuple(arguments))


def literal(value: Any) -> str:
    """Write a plain value as Python does, with double quotes.

    Raises:
        ValueError: it is not a string, a finite number, a boolean, ``None``, or a list or tuple of
            such values.
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
        before: text before the expression, e.g. ``"x = "``.
        expression: the expression, which may be broken into lines.
        after: text after the expression.
        depth: number of indents before the statement.
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
    """Tell whether any call in an expression must put its arguments on lines of their own."""
    if not isinstance(expression, Call):
        return False
    return expression.one_a_line or any(_is_tall(a.value) for a in expression.arguments)


def _runs(arguments: Sequence[Argument]) -> Iterator[tuple[Argument, int]]:
    """Yield each argument with the number of times that it is repeated in a row."""
    for argument, equal in groupby(arguments):
        yield argument, len(list(equal))
