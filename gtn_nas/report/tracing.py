"""The graph of a network's layers, seen while one image passes through it.

Whatever a network's code does, its layers and operations are called one after the other, so this
works where symbolic tracing gives up. Layers are modules without further ones inside, and those of
torch itself; between them every operation on tensors counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
TIMES = "\N{MULTIPLICATION SIGN}"
MOST_STEPS = 3000
"""Layers and operations of the largest network that is drawn."""


@dataclass
class Step:
    """A layer or an operation.

    Attributes:
        text: what it is, e.g. ``Conv2d 3x3, 16 -> 32``.
        inputs: places of the steps that it reads.
        shape: of what it puts out, without the batch.
        params: parameters that no earlier step has.
        weighted: whether it multiplies by weights, or is a layer of many.
        place: the module's name inside the network.
    """

    text: str
    inputs: list[int]
    shape: tuple[int, ...]
    params: int = 0
    weighted: bool = False
    place: str = ""


class TooLargeError(Exception):
    """The network has more steps than can be drawn."""


@torch.no_grad()
def trace(network: nn.Module, image_shape: tuple[int, int, int]) -> list[Step]:
    """Return the steps that lead from an image, the first of them, to the logits.

    The network is left in evaluation mode.

    Raises:
        TooLargeError: there are too many.
        Exception: whatever the network raises.
    """
    network.eval()
    image = torch.zeros(1, *image_shape)
    watch = _Watch()
    watch.add("image", [], image)
    with watch.layers_of(network), watch:
        logits = network(image)
    return _leading_to(watch.steps, watch.sources([logits]))


@dataclass
class _Watch(TorchFunctionMode):
    """Notes each step, and which step each tensor came from."""

    steps: list[Step] = field(default_factory=list)
    inside: int = 0
    """Layers that are being called; what happens inside of them is theirs."""

    def __post_init__(self) -> None:
        super().__init__()
        self._source: dict[int, int] = {}
        self._kept: list[Any] = []  # or an id might be used again
        self._counted: set[int] = set()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call a function of torch, and note it unless a layer did the calling."""
        given = (args, kwargs or {})
        sources = [] if self.inside else self.sources(given)
        result = func(*args, **(kwargs or {}))
        if sources:
            weights = [leaf for leaf in tree_leaves(given) if isinstance(leaf, nn.Parameter)]
            self.add(func.__name__.strip("_"), sources, result, weights=weights)
        return result

    def sources(self, values: Any) -> list[int]:
        """Return the steps that the tensors among some values came from, each once."""
        found = (self._source.get(id(leaf)) for leaf in tree_leaves(values))
        return list(dict.fromkeys(place for place in found if place is not None))

    def add(
        self,
        text: str,
        inputs: list[int],
        result: Any,
        *,
        weights: Iterable[nn.Parameter] = (),
        weighted: bool = False,
        place: str = "",
    ) -> None:
        """Note a step and its tensors; a value that is no tensor leads nowhere."""
        tensors = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        if not tensors:
            return
        if len(self.steps) == MOST_STEPS:
            raise TooLargeError(f"it has more than {MOST_STEPS:,} layers and operations")
        new = [w for w in weights if id(w) not in self._counted and w.requires_grad]
        self._counted.update(map(id, new))
        params = sum(weight.numel() for weight in new)
        is_wide = any(weight.dim() > 1 for weight in new)
        shape = tuple(tensors[0].shape[1:])
        step = Step(text, inputs, shape, params, weighted or is_wide, place)
        for tensor in tensors:
            self._source[id(tensor)] = len(self.steps)
        self._kept.append(tensors)
        self.steps.append(step)

    @contextmanager
    def layers_of(self, network: nn.Module) -> Iterator[None]:
        """Note the calls of all layers of a network."""
        with ExitStack() as hooks:
            for name, layer in _layers(network):
                enter = layer.register_forward_pre_hook(self._enter)
                leave = layer.register_forward_hook(partial(self._leave, name), with_kwargs=True)
                hooks.callback(enter.remove)
                hooks.callback(leave.remove)
            yield

    def _enter(self, layer: nn.Module, args: Any) -> None:
        self.inside += 1

    def _leave(self, name: str, layer: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
        self.inside -= 1
        sources = self.sources((args, kwargs))
        if not self.inside and sources and not isinstance(layer, nn.Identity):
            weighted = any(p.dim() > 1 for p in layer.parameters())
            text, weights = described(layer), list(layer.parameters())
            self.add(text, sources, result, weights=weights, weighted=weighted, place=name)


def described(layer: nn.Module) -> str:
    """Return a layer's kind and sizes, as far as its kind is known."""
    kind = type(layer).__name__
    if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        kernel = TIMES.join(map(str, layer.kernel_size))
        stride = max(layer.stride) if isinstance(layer.stride, tuple) else layer.stride
        halving = f", stride {stride}" if stride != 1 else ""
        depthwise = ", depthwise" if layer.groups == layer.in_channels > 1 else ""
        grouped = f", {layer.groups} groups" if layer.groups > 1 and not depthwise else ""
        widths = f"{layer.in_channels} → {layer.out_channels}"
        return f"{kind} {kernel}, {widths}{halving}{depthwise}{grouped}"
    if isinstance(layer, nn.Linear):
        return f"{kind} {layer.in_features} → {layer.out_features}"
    if isinstance(layer, nn.MaxPool2d | nn.AvgPool2d):
        size, step = layer.kernel_size, layer.stride
        sides = size if isinstance(size, tuple) else (size, size)
        halving = "" if step in (1, (1, 1)) else f", stride {step}"
        return f"{kind} {TIMES.join(map(str, sides))}{halving}"
    return kind


def _layers(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield what counts as one layer, by name."""
    children = list(module.named_children())
    is_of_torch = type(module).__module__.startswith("torch.nn")
    if not children or (is_of_torch and not isinstance(module, CONTAINERS)):
        yield name, module
        return
    for child_name, child in children:
        yield from _layers(child, f"{name}.{child_name}" if name else child_name)


def _leading_to(steps: list[Step], last: list[int]) -> list[Step]:
    """Return the steps that some depend on, and those themselves."""
    needed, waiting = {0}, list(last)
    while waiting:
        place = waiting.pop()
        if place not in needed:
            needed.add(place)
            waiting += steps[place].inputs
    new = {old: place for place, old in enumerate(sorted(needed))}
    kept = [steps[old] for old in sorted(needed)]
    for step in kept:
        step.inputs = [new[old] for old in step.inputs]
    return kept
