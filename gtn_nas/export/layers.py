"""Turns layers of ``torch.nn`` into the calls that create them, and names layers."""

from __future__ import annotations

import inspect
import re
from typing import Any

import torch
from torch import Tensor, nn

from gtn_nas.errors import ExportError
from gtn_nas.export.expressions import Argument, Call, Code, Expression, Number, literal

SHORT_NAMES = {
    "AdaptiveAvgPool2d": "global_pool",
    "BatchNorm1d": "norm",
    "BatchNorm2d": "norm",
    "GroupNorm": "norm",
    "LayerNorm": "norm",
}
"""Names of layers by their class; any other layer is named after its class."""

SIDE_PIECES = ("norm", "relu", "gelu", "silu", "dropout", "identity")
"""A sequence is named after its first layer whose name is not one of these."""


def torch_base(layer: nn.Module) -> type[nn.Module]:
    """Return the first class of ``torch.nn`` among a layer's class and its base classes."""
    classes = (cls for cls in type(layer).__mro__ if getattr(nn, cls.__name__, None) is cls)
    return next(classes, nn.Module)


def base_of(module: nn.Module) -> type[nn.Module]:
    """Return the base class of a module's written class: ``nn.Module`` if it has submodules."""
    return nn.Module if list(module.children()) else torch_base(module)


def torch_class(layer: nn.Module) -> type[nn.Module] | None:
    """Return the class of ``torch.nn`` whose forward pass a layer uses; ``None`` for its own."""
    base = torch_base(layer)
    return base if base is not nn.Module and type(layer).forward is base.forward else None


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """Return a module's own parameters and buffers, without those of its submodules."""
    tensors: dict[str, Tensor] = dict(module.named_parameters(recurse=False))
    return tensors | dict(module.named_buffers(recurse=False))


def torch_call(layer: nn.Module, cls: type[nn.Module]) -> Call:
    """Return the call that creates a layer of ``torch.nn``."""
    return Call(f"nn.{cls.__name__}", arguments_of(layer, cls))


def arguments_of(layer: nn.Module, cls: type[nn.Module]) -> tuple[Argument, ...]:
    """Return the arguments with which ``cls`` creates such a layer, read from its attributes.

    Raises:
        ExportError: these arguments do not create such a layer.
    """
    if cls is nn.Module:
        return ()
    _require_same(layer, cls)
    written: list[Argument] = []
    for name, value in _values(layer, cls).items():
        default = inspect.signature(cls).parameters[name].default
        required = default is inspect.Parameter.empty
        keyword = None if required else name
        if _is_number(value):
            written.append(Argument(Number(value, name), keyword, None if required else default))
        elif required or value != default:
            written.append(Argument(_code(layer, name, value), keyword))
    return tuple(written)


def made_again(layer: nn.Module, cls: type[nn.Module]) -> nn.Module:
    """Create a layer of ``cls`` with the same arguments, without memory for its weights.

    Raises:
        ExportError: it cannot be created from the layer's attributes.
    """
    values = _values(layer, cls)
    try:
        with torch.device("meta"):
            return cls(**values)
    except Exception as error:
        raise ExportError(
            f"the layer {type(layer).__name__} cannot be written as plain PyTorch: nn."
            f"{cls.__name__} is not made from {', '.join(values) or 'nothing'}"
        ) from error


def kind_of(layer: nn.Module) -> str:
    """Return a name for a layer from its class, e.g. ``conv`` or ``cell``."""
    if isinstance(layer, nn.Sequential):
        kinds = [kind_of(piece) for piece in layer]
        return next((k for k in kinds if k not in SIDE_PIECES), kinds[0] if kinds else "identity")
    name = type(layer).__name__.strip("_")
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", name).lower()
    return SHORT_NAMES.get(name) or words.removesuffix("2d") or "layer"


def _values(layer: nn.Module, cls: type[nn.Module]) -> dict[str, Any]:
    """Return the arguments that a layer was created with, as far as its attributes keep them."""
    names = [n for n in inspect.signature(cls).parameters if n not in ("device", "dtype")]
    values = {name: _value(layer, name) for name in names if hasattr(layer, name)}
    if not (values.get("affine", True) and values.get("elementwise_affine", True)):
        values.pop("bias", None)  # a norm without weights has no bias either
    return values


def _value(layer: nn.Module, name: str) -> Any:
    value = getattr(layer, name)
    if name == "bias" and not isinstance(value, bool):
        return value is not None
    if name == "stride" and "Pool" in type(layer).__name__ and value == layer.kernel_size:
        return None  # the default
    if isinstance(value, tuple) and len(set(value)) == 1 and len(value) > 1:
        return value[0]
    return value


def _is_number(value: Any) -> bool:
    parts = value if isinstance(value, tuple) and value else (value,)
    return all(isinstance(part, int | float) and not isinstance(part, bool) for part in parts)


def _code(layer: nn.Module, name: str, value: Any) -> Expression:
    try:
        return Code(literal(value))
    except ValueError:
        raise ExportError(
            f"the layer {type(layer).__name__} cannot be written as plain PyTorch: its {name} is "
            f"a {type(value).__name__}"
        ) from None


def _require_same(layer: nn.Module, cls: type[nn.Module]) -> None:
    """Check that a layer that ``cls`` creates again has weights of the same names and shapes.

    A layer with a forward pass of its own may have further weights.
    """
    made, found = (_shapes(made_again(layer, cls)), _shapes(layer))
    is_whole = torch_class(layer) is cls
    if made != found if is_whole else not made.items() <= found.items():
        raise ExportError(
            f"the layer {type(layer).__name__} cannot be written as plain PyTorch: it holds other "
            f"weights than nn.{cls.__name__} does"
        )


def _shapes(layer: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in layer.state_dict().items()}
