"""Traces a module's forward pass with ``torch.fx``, one level deep, and writes it as Python."""

from __future__ import annotations

import builtins
import inspect
import keyword
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from gtn_nas.export.expressions import Argument, Call, Code, Expression, flat, lines, literal

LONGEST_INLINE = 60
"""Longest expression, in characters, that is written where it is used instead of being named."""
DEEPEST_INLINE = 3
"""Most calls nested in such an expression."""

Names = Callable[[nn.Module, Sequence[str]], dict[str, str]]
"""Chooses attribute names for the submodules of a module, by their paths below it."""

INFIX: Mapping[Any, tuple[str, int]] = {
    operator.add: ("+", 1),
    operator.iadd: ("+", 1),
    operator.sub: ("-", 1),
    operator.mul: ("*", 2),
    operator.imul: ("*", 2),
    operator.truediv: ("/", 2),
    operator.floordiv: ("//", 2),
    operator.matmul: ("@", 2),
    operator.neg: ("-", 3),
    operator.pow: ("**", 4),
}
"""Operators with their sign and precedence; a higher precedence binds more tightly."""
TIGHTEST = 5

RESULTS = {"add": "total", "iadd": "total", "cat": "joined", "mul": "product", "sub": "difference"}
"""Variable names for the results of operations; any other result is named after its operation."""


@dataclass(frozen=True)
class Traced:
    """A traced method in Python, and what it uses; for the attributes see ``forwards.Forward``."""

    source: tuple[str, ...]
    parts: Mapping[str, str]
    tensors: tuple[str, ...]
    imports: frozenset[str]


class _OneLevel(fx.Tracer):
    """Traces a module without looking into its submodules."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True


def traced(module: nn.Module, names: Names) -> Traced:
    """Return the forward pass that a module runs in evaluation mode.

    Args:
        module: the module to trace.
        names: chooses the attribute names of its submodules.

    Raises:
        ValueError: the module does something that cannot be written.
        Exception: the tracer or the module may raise any error.
    """
    graph = _OneLevel().trace(module)
    _drop_identities(graph, module)
    graph.eliminate_dead_code(
        lambda node: node.op in ("placeholder", "output") or _is_in_place(node, module)
    )
    if any(node.op == "placeholder" and node.args for node in graph.nodes):
        raise ValueError("its arguments have defaults")
    called = dict.fromkeys(str(n.target) for n in graph.nodes if n.op == "call_module")
    parts = names(module, list(called))
    return _Writer(graph, module, parts).write()


def _drop_identities(graph: fx.Graph, module: nn.Module) -> None:
    for node in list(graph.nodes):
        if node.op == "call_module" and type(module.get_submodule(str(node.target))) is nn.Identity:
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)


class _Writer:
    """Writes a graph as a method; a result that is used more than once gets a variable."""

    def __init__(self, graph: fx.Graph, module: nn.Module, parts: Mapping[str, str]) -> None:
        self.nodes = list(graph.nodes)
        self.module, self.parts = module, parts
        self.imports: set[str] = set()
        self.tensors: list[str] = []
        self.texts: dict[fx.Node, str] = {}
        self.inputs = [str(n.target) for n in self.nodes if n.op == "placeholder"]
        self.named = self._named()
        self.last_reads = self._last_reads()

    def write(self) -> Traced:
        """Return the method."""
        body: list[str] = []
        for place, node in enumerate(self.nodes):
            if node.op == "placeholder":
                self.texts[node] = str(node.target)
            elif node.op == "output":
                body += lines("return ", self._returned(node), depth=1)
            elif node in self.named:
                expression = self._expression(node)
                name = self._name(node, place) if node.users else ""
                body += lines(f"{name} = " if name else "", expression, depth=1)
                self.texts[node] = name
            else:
                self.texts[node] = flat(self._expression(node))
        self.imports.add("from torch import Tensor")
        arguments = [Argument(Code("self"))]
        arguments += [Argument(Code(f"{name}: Tensor")) for name in self.inputs]
        result = "Tensor" if isinstance(self.nodes[-1].args[0], fx.Node) else "tuple[Tensor, ...]"
        head = lines("def ", Call("forward", tuple(arguments)), f" -> {result}:")
        used = dict.fromkeys(self.tensors)
        return Traced((*head, *body), self.parts, tuple(used), frozenset(self.imports))

    def _named(self) -> set[fx.Node]:
        """Return the nodes that become statements; the others are written where they are used."""
        every = {n for n in self.nodes if n.op not in ("placeholder", "output", "get_attr")}
        if any(_is_in_place(node, self.module) for node in every):
            *_, last_step, output = self.nodes
            is_returned = output.all_input_nodes == [last_step]
            return every - {last_step} if is_returned else every  # keeps the order of the steps
        named: set[fx.Node] = set()
        sizes: dict[fx.Node, tuple[int, int]] = {}
        for node in self.nodes:
            inner = [sizes.get(n, (4, 0)) for n in node.all_input_nodes]
            own = len(self.parts.get(str(node.target), "")) + 12
            size = own + sum(length for length, _ in inner) + 4 * len(node.args)
            depth = 1 + max((depth for _, depth in inner), default=0)
            uses = sum(_count(node, user) for user in node.users)
            last = uses == 1 and all(user.op == "output" for user in node.users)
            large = size > LONGEST_INLINE or depth > DEEPEST_INLINE
            if node in every and not last and (uses > 1 or large):
                named.add(node)
                size, depth = 8, 0
            sizes[node] = (size, depth if node in every else 0)
        return named

    def _name(self, node: fx.Node, place: int) -> str:
        """Return the variable for a result: ``x``, unless the current ``x`` is still to be read.

        Args:
            node: the node whose result it is.
            place: index of the node.
        """
        taken = {
            self.texts[n] for n, last in self.last_reads.items() if last > place and n in self.texts
        }
        if "x" not in taken:
            return "x"
        target = node.target if isinstance(node.target, str) else node.target.__name__
        if target == "getattr":
            target = str(node.args[1])
        base = self.parts.get(target, RESULTS.get(target, target)).rstrip("_")
        base = f"{base}_" if keyword.iskeyword(base) or hasattr(builtins, base) else base
        choices = (base if i == 1 else f"{base}_{i}" for i in range(1, len(self.nodes) + 2))
        return next(name for name in choices if name not in taken and name not in self.inputs)

    def _last_reads(self) -> dict[fx.Node, int]:
        """Return, for each node with a variable, the index of the last statement that reads it."""
        mentioned: dict[fx.Node, set[fx.Node]] = {}
        last: dict[fx.Node, int] = {}
        for place, node in enumerate(self.nodes):
            names: set[fx.Node] = set()
            for used in node.all_input_nodes:
                is_name = used in self.named or used.op == "placeholder"
                names |= {used} if is_name else mentioned[used]
            mentioned[node] = names
            if node in self.named or node.op == "output":
                last.update(dict.fromkeys(names, place))
        return last

    def _returned(self, node: fx.Node) -> Expression:
        (value,) = node.args
        if isinstance(value, fx.Node) and value.op.startswith("call") and value not in self.named:
            return self._expression(value)
        return Code(self._text(value))

    def _expression(self, node: fx.Node) -> Expression:
        args, kwargs = list(node.args), dict(node.kwargs)
        match node.op:
            case "get_attr":
                self.tensors.append(str(node.target))
                return Code(f"self.{node.target}")
            case "call_module":
                return self._call(f"self.{self.parts[str(node.target)]}", args, kwargs)
            case "call_method":
                owner = self._text(args[0], TIGHTEST)
                return self._call(f"{owner}.{node.target}", args[1:], kwargs)
        if node.target is operator.getitem:
            return Code(f"{self._text(args[0], TIGHTEST)}[{self._index(args[1])}]")
        if node.target is getattr:
            return Code(f"{self._text(args[0], TIGHTEST)}.{args[1]}")
        if node.target in INFIX:
            sign, tightness = INFIX[node.target]
            if node.target is operator.neg:
                return Code(f"-{self._text(args[0], tightness)}")
            is_power = node.target is operator.pow
            left = self._text(args[0], tightness + is_power)
            # a + (b + c) rounds differently from a + b + c, so it keeps its parentheses.
            right = self._text(args[1], tightness + 1)
            return Code(f"{left} {sign} {right}")
        kwargs = _without_defaults(node.target, kwargs)
        return self._call(self._function(node.target), args, kwargs)

    def _function(self, target: Any) -> str:
        name = getattr(target, "__name__", "")
        for text, home, statement in (
            ("F", F, "import torch.nn.functional as F"),
            ("torch", torch, "import torch"),
            ("math", math, "import math"),
        ):
            if getattr(home, name, None) is target:
                self.imports.add(statement)
                return f"{text}.{name}"
        raise ValueError(f"it calls {name or target}, which is not of torch")

    def _call(self, function: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call:
        arguments = [Argument(Code(self._text(a))) for a in args]
        arguments += [Argument(Code(self._text(a)), name) for name, a in kwargs.items()]
        return Call(function, tuple(arguments))

    def _text(self, value: Any, tightness: int = 0) -> str:
        """Write a value, in parentheses if its operator binds less tightly than ``tightness``."""
        if isinstance(value, fx.Node):
            text = self.texts[value]
            is_written = value not in self.named and value.op == "call_function"
            is_loose = is_written and INFIX.get(value.target, ("", TIGHTEST))[1] < tightness
            return f"({text})" if is_loose else text
        if isinstance(value, int | float) and value < 0 and tightness > 1:
            return f"({literal(value)})"
        if isinstance(value, list):
            return f"[{', '.join(map(self._text, value))}]"
        if isinstance(value, tuple):
            inside = ", ".join(map(self._text, value))
            return f"({inside},)" if len(value) == 1 else f"({inside})"
        if isinstance(value, torch.dtype):
            self.imports.add("import torch")
            return str(value)
        return literal(value)

    def _index(self, index: Any) -> str:
        if isinstance(index, tuple):
            return ", ".join(map(self._index, index))
        if isinstance(index, slice):
            start, stop = ("" if v is None else self._text(v) for v in (index.start, index.stop))
            return f"{start}:{stop}" + ("" if index.step is None else f":{self._text(index.step)}")
        return "..." if index is Ellipsis else self._text(index)


def _without_defaults(function: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out arguments equal to their defaults, since the tracer lists every argument."""
    try:
        known = inspect.signature(function).parameters
    except (TypeError, ValueError):  # a compiled function may have no signature
        return dict(given)
    return {n: v for n, v in given.items() if n not in known or known[n].default is not v}


def _is_in_place(node: fx.Node, module: nn.Module) -> bool:
    """Tell whether a node changes its inputs in place."""
    if node.op == "call_module":
        below = module.get_submodule(str(node.target)).modules()
        return any(getattr(layer, "inplace", False) for layer in below)
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    is_named_so = name.endswith("_") or name == "setitem"
    return node.op.startswith("call") and (is_named_so or bool(node.kwargs.get("inplace")))


def _count(node: fx.Node, user: fx.Node) -> int:
    """Return how often the node ``user`` has ``node`` among its arguments."""
    found = 0

    def visit(argument: fx.Node) -> fx.Node:
        nonlocal found
        found += argument is node
        return argument

    fx.node.map_arg((user.args, user.kwargs), visit)
    return found
