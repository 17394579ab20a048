"""The graph of a network's layers and operations, recorded during one forward pass.

Layers and operations are recorded as they are called, so this works for any Python code, also where
symbolic tracing fails. A layer is a module without child modules, or a module of torch itself that
is no container. Operations on tensors outside of layers are recorded too.
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
"""Most layers and operations of a network that is drawn."""


@dataclass
class Step:
    """A layer or an operation.

    Attributes:
        text: its kind and sizes, e.g. ``Conv2d 3x3, 16 -> 32``.
        inputs: indices of the steps whose outputs it reads.
        shape: shape of its output, without the batch.
        params: number of its trainable parameters, without those that an earlier step also has.
        weighted: whether it has a parameter with more than one dimension, such as a weight matrix.
        module: name of the layer inside the network; empty for an operation.
    """

    text: str
    inputs: list[int]
    shape: tuple[int, ...]
    params: int = 0
    weighted: bool = False
    module: str = ""


class TooLargeError(Exception):
    """The network has more steps than can be drawn."""


@torch.no_grad()
def trace(network: nn.Module, image_shape: tuple[int, int, int]) -> list[Step]:
    """Return the steps that lead from an image to the logits; the first step is the image.

    The network is left in evaluation mode.

    Args:
        network: the network, which takes a batch of images.
        image_shape: ``(C, H, W)``.

    Raises:
        TooLargeError: there are more than ``MOST_STEPS`` steps.
        Exception: the network raised an error.
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
    """Records each step, and for each tensor the step that returned it."""

    steps: list[Step] = field(default_factory=list)
    inside: int = 0
    """Number of layers that are being called. Operations inside of them are not recorded."""

    def __post_init__(self) -> None:
        super().__init__()
        self._source: dict[int, int] = {}
        self._kept: list[Any] = []  # keeps tensors alive, so that Python does not reuse their ids
        self._counted: set[int] = set()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call a function of torch, and record it unless it is called inside of a layer."""
        given = (args, kwargs or {})
        sources = [] if self.inside else self.sources(given)
        result = func(*args, **(kwargs or {}))
        if sources:
            weights = [leaf for leaf in tree_leaves(given) if isinstance(leaf, nn.Parameter)]
            self.add(func.__name__.strip("_"), sources, result, weights=weights)
        return result

    def sources(self, values: Any) -> list[int]:
        """Return the indices of the steps that returned the tensors in ``values``, each once."""
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
        module: str = "",
    ) -> None:
        """Record a step and the tensors that it returned; without tensors, record nothing.

        Args:
            text: kind and sizes of the step.
            inputs: indices of the steps that it reads.
            result: the returned value.
            weights: its parameters.
            weighted: whether it has weights; see ``Step``.
            module: name of the layer.
        """
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
        step = Step(text, inputs, shape, params, weighted or is_wide, module)
        for tensor in tensors:
            self._source[id(tensor)] = len(self.steps)
        self._kept.append(tensors)
        self.steps.append(step)

    @contextmanager
    def layers_of(self, network: nn.Module) -> Iterator[None]:
        """Record the calls of all layers of a network while this context is open."""
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
            self.add(text, sources, result, weights=weights, weighted=weighted, module=name)


def described(layer: nn.Module) -> str:
    """Return the name of a layer's class, followed by its sizes if the class is a common one."""
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
    """Yield the layers of a module with their names; see the top of this file for what they are."""
    children = list(module.named_children())
    is_of_torch = type(module).__module__.startswith("torch.nn")
    if not children or (is_of_torch and not isinstance(module, CONTAINERS)):
        yield name, module
        return
    for child_name, child in children:
        yield from _layers(child, f"{name}.{child_name}" if name else child_name)


def _leading_to(steps: list[Step], last: list[int]) -> list[Step]:
    """Return the steps in ``last`` and all steps that they depend on, with indices renumbered.

    The first step, the image, is always kept.
    """
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
