"""What modules are called as attributes of the module that they are in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from torch import nn

from gtn_nas.export.layers import kind_of

GENERIC_LISTS = frozenset({"layers", "blocks", "ops", "operations", "modules", "body", "features"})
"""Lists whose names say less than the kinds of what is in them."""


def part_names(module: nn.Module, paths: Sequence[str]) -> dict[str, str]:
    """Return a name for each of some modules within one, by its path.

    Those in lists, which Python knows by number, are called after what they are, or after the list
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
    """Tell whether a path is a name already."""
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
