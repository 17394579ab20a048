"""The forward pass of a module that is not torch's own: its source as written, or a trace."""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

from torch import nn

from gtn_nas.errors import ExportError, one_line
from gtn_nas.export.expressions import literal
from gtn_nas.export.layers import base_of, tensors_of
from gtn_nas.export.tracing import Names, traced


@dataclass(frozen=True)
class Forward:
    """A forward pass in Python, and what it needs.

    Attributes:
        source: lines of the method.
        parts: attribute names of the modules that it calls, by their path below this module.
        tensors: names of the parameters and buffers that it reads.
        values: plain values of the other attributes that it reads, by name.
        imports: import statements for the names that it uses.
        constants: values of the global names that it uses, by name.
    """

    source: tuple[str, ...]
    parts: Mapping[str, str]
    tensors: tuple[str, ...]
    values: Mapping[str, Any]
    imports: frozenset[str]
    constants: Mapping[str, Any]


class _NotAlone(Exception):
    """A method uses something that cannot be written into the exported module."""


def forward_of(module: nn.Module, names: Names) -> Forward:
    """Return the forward pass of a module.

    The method of a module without submodules is copied as written, since it may do something else
    in training mode. The method of any other module is traced, which keeps only the operations that
    this network runs. If the preferred way fails, the other is tried.

    Args:
        module: the module, in evaluation mode.
        names: chooses the attribute names of its submodules.

    Raises:
        ExportError: both ways fail.
    """
    reasons = []
    ways = (_traced, _as_written) if list(module.children()) else (_as_written, _traced)
    for way in ways:
        try:
            return way(module, names)
        except _NotAlone as reason:
            reasons.append(f"as it is written, it uses {reason}")
        except Exception as error:  # a tracer runs code that may raise anything
            reasons.append(f"it cannot be traced ({one_line(error)})")
    raise ExportError(
        f"{type(module).__name__}.forward cannot be written as plain PyTorch: {'; '.join(reasons)}"
    )


def _traced(module: nn.Module, names: Names) -> Forward:
    found = traced(module, names)
    tensors = tensors_of(module)
    unknown = [name for name in found.tensors if "." not in name and name not in tensors]
    if unknown:
        raise ValueError(f"{unknown[0]} is a tensor, but neither parameter nor buffer")
    own = tuple(name for name in tensors if name in found.tensors)
    return Forward(found.source, found.parts, own, {}, found.imports, {})


def _as_written(module: nn.Module, names: Names) -> Forward:
    """Copy the method as written, if it uses only torch, ``math``, plain values and attributes.

    Raises:
        _NotAlone: it uses something else.
    """
    method = type(module).forward
    if not isinstance(method, FunctionType):
        raise _NotAlone("no Python")
    try:
        source = textwrap.dedent(inspect.getsource(method)).rstrip()
        tree = ast.parse(source)
    except (OSError, SyntaxError) as error:
        raise _NotAlone("a source that cannot be read") from error
    imports: set[str] = set()
    constants: dict[str, Any] = {}
    for name in _free_names(tree):
        value = method.__globals__.get(name, vars(builtins).get(name, _NotAlone))
        if value is getattr(builtins, name, _NotAlone):
            continue
        statement = _import_of(name, value)
        if statement is not None:
            imports.add(statement)
        elif _is_plain(value):
            constants[name] = value
        else:
            raise _NotAlone(repr(name))
    tensors = tensors_of(module)
    parts = {name: name for name, _ in module.named_children()}
    return Forward(
        tuple(source.splitlines()),
        parts,
        tuple(tensors),
        _values(module, tree, {*tensors, *parts}),
        frozenset(imports),
        constants,
    )


def _free_names(tree: ast.Module) -> list[str]:
    """Return the names that a function reads and does not assign, sorted."""
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    made = {node.id for node in names if not isinstance(node.ctx, ast.Load)}
    made |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return sorted({node.id for node in names} - made)


def _import_of(name: str, value: Any) -> str | None:
    """Return the statement that imports a name, if it comes from torch or ``math``."""
    if isinstance(value, ModuleType):
        full = value.__name__
        if full.split(".")[0] not in ("torch", "math"):
            return None
        parent, _, last = full.rpartition(".")
        if full == name:
            return f"import {full}"
        return f"from {parent} import {name}" if last == name else f"import {full} as {name}"
    home = getattr(value, "__module__", None) or ""
    if home.split(".")[0] in ("torch", "math") and getattr(value, "__name__", None) == name:
        return f"from {home} import {name}"
    return None


def _values(module: nn.Module, tree: ast.Module, known: set[str]) -> dict[str, Any]:
    """Return the plain values of the attributes that a method reads.

    Args:
        module: the module.
        tree: source of its method.
        known: names of its tensors and submodules, which are left out.

    Raises:
        _NotAlone: an attribute has no plain value.
    """
    base = base_of(module)
    given = set() if base is nn.Module else set(inspect.signature(base).parameters)
    values = {}
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)):
            continue
        name = node.attr
        if node.value.id != "self" or name in known or name == "training":
            continue
        value = getattr(module, name, None)
        if name in given or (value is not None and hasattr(base, name)):
            continue  # the base class sets this attribute as well
        if not hasattr(module, name) or not _is_plain(value):
            raise _NotAlone(f"self.{name}")
        values[name] = value
    return values


def _is_plain(value: Any) -> bool:
    try:
        literal(value)
    except ValueError:
        return False
    return True
