"""Writes a network as a Python module of plain PyTorch, as a person would write it.

Every module of a network is written as a class. Its layers are read from the attributes of the
network's layers, its forward pass comes from the author's source or from a trace (``forwards``). So
this works for every search space, also for a user's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from textwrap import indent
from typing import Any

from torch import nn

from gtn_nas.errors import ExportError
from gtn_nas.export.classes import Class, Classes
from gtn_nas.export.expressions import (
    INDENT,
    Argument,
    Call,
    Code,
    lines,
    literal,
    with_numbers,
)

FROM_TORCH = "from torch import "


@dataclass(frozen=True)
class Source:
    """A network's code.

    Attributes:
        text: the Python module; the name of the network's class is ``classes.NETWORK``.
        names: the name of each parameter and buffer in that class, by its name in the network.
    """

    text: str
    names: Mapping[str, str]


def source_of(network: nn.Module, title: str, about: str) -> Source:
    """Return the code of a network.

    Args:
        network: the network, in evaluation mode.
        title: docstring of the module, without quotes and backslashes.
        about: docstring of the network's class, one line, without quotes and backslashes.

    Raises:
        ExportError: a layer cannot be written as plain PyTorch; the message names it.
    """
    classes = Classes(network, about)
    constants = _constants(classes.all)
    blocks = [_head(title, classes.all)]
    if constants:
        blocks.append("\n".join(f"{name} = {literal(v)}" for name, v in sorted(constants.items())))
    text = "\n\n".join(blocks)
    for cls in classes.all:
        text += f"\n\n\n{_class(cls)}"
    return Source(f"{text}\n", classes.tensor_names())


def _constants(classes: Iterable[Class]) -> dict[str, Any]:
    """Return the global constants that the forward passes use, by name.

    Raises:
        ExportError: two forward passes use different values under the same name.
    """
    found: dict[str, Any] = {}
    for cls in classes:
        for name, value in cls.forward.constants.items():
            if found.setdefault(name, value) != value:
                raise ExportError(
                    f"the network cannot be written as one module: {name} is {value!r} in that of "
                    f"{cls.name}, and {found[name]!r} in another"
                )
    return found


def _head(title: str, classes: Iterable[Class]) -> str:
    """Return the module's docstring and imports."""
    statements = {s for c in classes for s in c.forward.imports} | {f"{FROM_TORCH}nn"}
    if any("torch.empty" in line for c in classes for line in _init(c)):
        statements.add("import torch")
    names = {s.removeprefix(FROM_TORCH) for s in statements if s.startswith(FROM_TORCH)}
    others = {s for s in statements if not s.startswith(FROM_TORCH)}
    ours = sorted(others | {FROM_TORCH + ", ".join(sorted(names))}, key=_import_order)
    groups = [[s for s in ours if ("torch" in s) is of_torch] for of_torch in (False, True)]
    return "\n\n".join([f'"""{title}"""', *("\n".join(group) for group in groups if group)])


def _import_order(statement: str) -> tuple[bool, str]:
    return statement.startswith("from"), statement


def _class(cls: Class) -> str:
    init = _init(cls)
    parts = [[f'"""{cls.about}"""']] if cls.about else []
    if init[1:] != [f"{INDENT}super().__init__()"]:
        parts.append(init)
    body = "\n\n".join("\n".join(part) for part in [*parts, cls.forward.source])
    return f"class {cls.name}(nn.{cls.base.__name__}):\n{indent(body, INDENT)}"


def _init(cls: Class) -> list[str]:
    """Return the lines of ``__init__``."""
    rows, parameters = cls.rows, cls.parameters()
    given = [Argument(Code("self"))]
    for name, places in parameters.items():
        kind = _type([row[places[0]].value for row in rows])
        given.append(Argument(Code(f"{name}: {kind}")))
    written = iter(cls.written())
    body = [
        line
        for before, expression in cls.members
        for line in lines(before, with_numbers(expression, written), depth=1)
    ]
    return [*lines("def ", Call("__init__", tuple(given)), " -> None:"), *body]


def _type(values: list[object]) -> str:
    kinds = {type(value) for value in values}
    if tuple in kinds:
        return "int | tuple[int, ...]" if int in kinds else "tuple[int, ...]"
    return "float" if float in kinds else "int"
