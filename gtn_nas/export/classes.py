"""Turns the modules of a network into classes; modules that differ only in numbers share one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from gtn_nas.export.expressions import (
    Argument,
    Call,
    Code,
    Expression,
    Number,
    flat,
    literal,
    numbers_in,
    skeleton,
)
from gtn_nas.export.forwards import Forward, forward_of
from gtn_nas.export.layers import (
    arguments_of,
    base_of,
    made_again,
    tensors_of,
    torch_call,
    torch_class,
)
from gtn_nas.export.naming import part_names

NETWORK = "Network"
"""Name of the class of the whole network."""

OF_CHANNELS = frozenset(
    {"channels", "in_channels", "out_channels", "num_channels", "num_features", "groups"}
    | {"in_features", "out_features"}
)
"""Names of numbers that become one parameter of a class if they are equal in every module."""


@dataclass
class Class:
    """A class to write, which stands for one or more modules of the network.

    Attributes:
        name: name of the class.
        base: class of ``torch.nn`` that it inherits from.
        members: the statements of ``__init__`` for its first module, each as the text before its
            expression and the expression.
        forward: the forward pass, which all its modules share.
        about: first line of its author's docstring; empty if there is none.
        rows: for each of its modules, the numbers in the statements, from left to right.
    """

    name: str
    base: type[nn.Module]
    members: Sequence[tuple[str, Expression]]
    forward: Forward
    about: str
    rows: list[list[Number]] = field(default_factory=list)

    def parameters(self) -> dict[str, list[int]]:
        """Return the parameters of ``__init__``.

        Returns:
            By name of the parameter, the places of the numbers in a row that it replaces.
        """
        columns: dict[tuple[str, tuple[Any, ...]], list[int]] = {}
        for place in range(len(self.rows[0])):
            values = tuple(row[place].value for row in self.rows)
            if len(set(values)) > 1 and self._half_of(place) is None:
                role = self._role(place)
                kind = "channels" if role in OF_CHANNELS else role
                columns.setdefault((kind, values), []).append(place)
        alone = sum(kind == "channels" for kind, _ in columns) == 1
        found: dict[str, list[int]] = {}
        for (kind, _), places in columns.items():
            roles = [self._role(place) for place in places]
            name = next((role for role in roles if role in ("in_channels", "out_channels")), kind)
            if kind == "channels" and alone and len(set(roles)) > 1:
                name = kind
            number = 1 + sum(re.sub(r"_\d+$", "", other) == name for other in found)
            found[name if number == 1 else f"{name}_{number}"] = places
        return found

    def _role(self, place: int) -> str:
        return re.sub(r"_\d+$", "", self.rows[0][place].role)

    def written(self) -> list[Expression]:
        """Return what is written in place of each number: the number itself or a parameter."""
        texts: list[Expression] = list(self.rows[0])
        for name, places in self.parameters().items():
            for place in places:
                texts[place] = Code(name)
        for place in range(len(texts)):
            kernel = self._half_of(place)
            if kernel is not None:
                texts[place] = Code(f"{flat(texts[kernel])} // 2")
        return texts

    def _half_of(self, place: int) -> int | None:
        """Return the place of the kernel size whose half is the padding at ``place``, if any.

        Such a padding is written as ``kernel_size // 2``. It must be half in every module.
        """
        if self._role(place) != "padding":
            return None
        for before in reversed(range(place)):
            if self._role(before) == "kernel_size":
                pairs = [(row[before].value, row[place].value) for row in self.rows]
                varies = len({padding for _, padding in pairs}) > 1
                fits = all(isinstance(k, int) and k // 2 == padding for k, padding in pairs)
                return before if varies and fits else None
        return None


class Classes:
    """The classes of a network; ``all`` lists the innermost first.

    Args:
        network: the network, in evaluation mode.
        about: docstring for the class of the whole network.

    Raises:
        ExportError: a layer cannot be written as plain PyTorch; the message names it.
    """

    def __init__(self, network: nn.Module, about: str) -> None:
        self.network, self.about = network, about
        self.forwards: dict[nn.Module, Forward] = {}
        self._heights: dict[nn.Module, int] = {}
        self._homes: dict[nn.Module, tuple[Class, list[Number]]] = {}
        self._plan(network)
        self._taken: Counter[str] = Counter(["Tensor", "nn", "F", "torch", "math"])
        self.all: list[Class] = []
        for height in sorted(set(self._heights.values())):
            self.all += self._at(height)

    def tensor_names(self) -> dict[str, str]:
        """Return the names of all tensors in the classes, by their names in the network.

        The tensors are the parameters and buffers.
        """
        names: dict[str, str] = {}

        def visit(module: nn.Module, here: str, there: str) -> None:
            forward = self.forwards.get(module)
            if forward is None:
                parts: Mapping[str, str] = {name: name for name, _ in module.named_children()}
            else:
                parts = forward.parts
            for name in tensors_of(module) if forward is None else self._tensors(module):
                names[f"{here}{name}"] = f"{there}{name}"
            for path, name in parts.items():
                visit(module.get_submodule(path), f"{here}{path}.", f"{there}{name}.")

        visit(self.network, "", "")
        return names

    def _plan(self, module: nn.Module) -> int:
        """Find the modules that become classes, in a module and below it.

        Returns:
            How deeply such modules are nested; 0 if there is none.
        """
        if module in self._heights:
            return self._heights[module]
        is_whole = module is self.network
        if not is_whole and (_is_container(module) or torch_class(module)):
            return max(map(self._plan, module.children()), default=0)
        forward = _chain(module) if _is_container(module) else forward_of(module, part_names)
        self.forwards[module] = forward
        inside = [self._plan(module.get_submodule(path)) for path in forward.parts]
        self._heights[module] = 1 + max(inside, default=0)
        return self._heights[module]

    def _at(self, height: int) -> list[Class]:
        """Return the classes of the modules with ``height`` nested levels of classes."""
        found: dict[object, Class] = {}
        for module in [m for m, h in self._heights.items() if h == height]:
            forward, members = self.forwards[module], self._members(module)
            masked = tuple((before, skeleton(expression)) for before, expression in members)
            kind = (type(module), masked, forward.source)
            if kind not in found:
                name = self._name(module)
                about = self.about if module is self.network else _about(type(module))
                found[kind] = Class(name, base_of(module), members, forward, about)
            numbers = [n for _, expression in members for n in numbers_in(expression)]
            found[kind].rows.append(numbers)
            self._homes[module] = found[kind], numbers
        return list(found.values())

    def _members(self, module: nn.Module) -> list[tuple[str, Expression]]:
        """Return the statements of ``__init__``; the first calls that of the base class."""
        forward, base = self.forwards[module], base_of(module)
        members: list[tuple[str, Expression]] = [
            ("", Call("super().__init__", arguments_of(module, base)))
        ]
        for path, name in forward.parts.items():
            members.append((f"self.{name} = ", self._made(module.get_submodule(path))))
        tensors, of_base = tensors_of(module), _tensors_of_base(module)
        own = [name for name in forward.tensors if name not in of_base]
        members += [_tensor_made(name, tensors[name]) for name in own]
        for name, value in forward.values.items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            text = Number(value, name) if is_number else Code(literal(value))
            members.append((f"self.{name} = ", text))
        return members

    def _tensors(self, module: nn.Module) -> set[str]:
        return {*self.forwards[module].tensors, *_tensors_of_base(module)}

    def _made(self, module: nn.Module) -> Expression:
        """Return the expression that creates a module."""
        if module in self._homes:
            home, numbers = self._homes[module]
            given = (
                Argument(Number(numbers[places[0]].value, name))
                for name, places in home.parameters().items()
            )
            return Call(home.name, tuple(given))
        if _is_container(module):
            inside = tuple(Argument(self._made(layer)) for layer in module.children())
            if isinstance(module, nn.ModuleList):
                return Call("nn.ModuleList", (Argument(Call("", inside, ("[", "]"))),))
            return Call("nn.Sequential", inside, one_a_line=len(inside) > 1)
        cls = torch_class(module)
        return torch_call(module, cls or type(module))

    def _name(self, module: nn.Module) -> str:
        name = NETWORK if module is self.network else type(module).__name__.strip("_")
        self._taken[name] += 1
        return name if self._taken[name] == 1 else f"{name}{self._taken[name]}"


def _is_container(module: nn.Module) -> bool:
    """Tell whether a module is a list, or a sequence without a forward pass of its own."""
    is_list = isinstance(module, nn.ModuleList)
    return is_list or (isinstance(module, nn.Sequential) and torch_class(module) is nn.Sequential)


def _tensors_of_base(module: nn.Module) -> set[str]:
    """Return the names of the parameters and buffers that the base class creates."""
    base = base_of(module)
    return set() if base is nn.Module else set(made_again(module, base).state_dict())


def _chain(sequence: nn.Module) -> Forward:
    """Return the forward pass of a sequence, with one line for each of its layers."""
    layers = {
        path: layer for path, layer in sequence.named_children() if type(layer) is not nn.Identity
    }
    names = part_names(sequence, list(layers))
    body, value = [], "images"
    for name in names.values():
        body.append(f"    x = self.{name}({value})")
        value = "x"
    if body:
        body[-1] = body[-1].replace("x =", "return", 1)
    source = ("def forward(self, images: Tensor) -> Tensor:", *(body or ["    return images"]))
    return Forward(source, names, (), {}, frozenset(["from torch import Tensor"]), {})


def _tensor_made(name: str, tensor: Tensor) -> tuple[str, Expression]:
    """Return the statement that creates a parameter or buffer without values."""
    size = [Argument(Number(length, "channels")) for length in tensor.shape]
    if not size:
        size = [Argument(Code("()"))]
    if tensor.dtype is not torch.float32:
        size.append(Argument(Code(str(tensor.dtype)), "dtype"))
    room = Call("torch.empty", tuple(size))
    if isinstance(tensor, nn.Parameter):
        return f"self.{name} = ", Call("nn.Parameter", (Argument(room),))
    return "", Call("self.register_buffer", (Argument(Code(literal(name))), Argument(room)))


def _about(cls: type[nn.Module]) -> str:
    """Return the first line of a class's docstring, or nothing.

    Nothing is returned for torch's classes, and for a line that cannot be written between quotes.
    """
    if cls.__module__.partition(".")[0] == "torch":
        return ""
    text = (vars(cls).get("__doc__") or "").strip().partition("\n")[0].strip()
    is_harmless = text.isprintable() and not set('"\\') & set(text) and len(text) <= 90
    return text if is_harmless else ""
