"""Chooses the attribute names of submodules in the exported code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from torch import nn

from gtn_nas.export.layers import kind_of

GENERIC_LISTS = frozenset({"layers", "blocks", "ops", "operations", "modules", "body", "features"})
"""Names of lists that say less than the classes of the modules in the list."""


def part_names(module: nn.Module, paths: Sequence[str]) -> dict[str, str]:
    """Return an attribute name for each of some submodules, by its path below ``module``.

    A submodule in a list, whose path ends in a number, is named after its class, or after the list
    if that says more: ``layers.3`` becomes ``conv_2``, ``cells.0`` becomes ``cell_1``.
    """
    bases = {path: _base(module, path) for path in paths}
    counts = Counter(bases.values())
    fixed = {base for path, base in bases.items() if _is_fixed(path)}
    numbers: Counter[str] = Counter()
    names: dict[str, str] = {}
    for path, base in bases.items():
        if _is_fixed(path) or (counts[base] == 1 and base not in fixed):
            names[path] = base
            continue
        numbers[base] += 1
        while f"{base}_{numbers[base]}" in fixed:
            numbers[base] += 1
        names[path] = f"{base}_{numbers[base]}"
    return names


def _is_fixed(path: str) -> bool:
    """Tell whether a path can stay as it is, since it is a valid attribute name."""
    return path.isidentifier()


def _base(module: nn.Module, path: str) -> str:
    *before, last = path.split(".")
    words = [part for part in before if not part.isdigit()]
    if not last.isdigit():
        name = "_".join([*words, last])
        return name if name.isidentifier() else kind_of(module.get_submodule(path))
    if words and words[-1] not in GENERIC_LISTS:
        return _singular(words[-1])
    return kind_of(module.get_submodule(path))


def _singular(name: str) -> str:
    return name[:-1] if name.endswith("s") and not name.endswith("ss") else name
