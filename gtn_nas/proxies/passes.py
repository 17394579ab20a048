"""The passes through a fresh network that zero-cost proxies share; each runs when it is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gtn_nas.errors import one_line
from gtn_nas.trial import Status, status_of

LEAST_IMAGES = 4
"""Fewest images of a batch, since batch norm needs two in each of its halves."""

RECTIFIERS = frozenset({"relu", "relu_", "relu6", "leaky_relu", "leaky_relu_", "prelu"})
"""Names of torch's functions that are linear but for a bend at zero."""
NORMALISATIONS = frozenset({"batch_norm", "group_norm", "layer_norm", "instance_norm", "rms_norm"})
"""Names of torch's functions that divide their input by its size."""


class NoScore(Exception):
    """A proxy is not defined for a network; the message says why."""


class Weighted(NamedTuple):
    """A parameter, and the gradient with respect to it of the same shape."""

    parameter: Tensor
    gradient: Tensor


class Passes:
    """What an untrained network computes on one batch, forwards and backwards.

    Each property is computed when it is first asked for, and kept. "Weights" are the parameters of
    two or more dimensions (of convolutions and fully connected layers) that the forward pass used,
    so layers without effect do not count. A property raises ``NoScore`` where the network does not
    have it, e.g. because its logits are not finite. Proxies use these properties rather than the
    network itself.

    Args:
        build: returns the candidate with the same weights at each call.
        images: ``(N, C, H, W)`` normalised training images, on the candidate's device.
        labels: ``(N,)`` their classes.

    Raises:
        ValueError: there are fewer than four images, or not one label for each.
    """

    def __init__(self, build: Callable[[], nn.Module], images: Tensor, labels: Tensor) -> None:
        if len(images) < LEAST_IMAGES or len(labels) != len(images):
            raise ValueError(
                f"zero-cost proxies need {LEAST_IMAGES} images or more and a label for each; "
                f"got {len(images)} images and {len(labels)} labels"
            )
        self.build, self.images, self.labels = build, images, labels

    @property
    def agreement(self) -> Tensor:
        """For every two images, how many rectifiers' inputs agree in sign: ``(N, N)``, float64."""
        return self._batch.agreement

    @cached_property
    def image_gradients(self) -> Tensor:
        """Gradient of the sum of all logits with respect to the images: ``(N, C, H, W)``."""
        forward = self._batch
        (gradients,) = torch.autograd.grad(forward.logits.sum(), forward.images, retain_graph=True)
        return gradients

    @cached_property
    def loss_gradients(self) -> list[Weighted]:
        """The weights, with the gradients of the mean cross-entropy on the batch."""
        forward = self._batch
        return _gradients(F.cross_entropy(forward.logits, self.labels), forward.weights)

    @cached_property
    def half_gradients(self) -> list[Tensor]:
        """Gradients of the mean cross-entropy on each half of the batch: ``(2, ...)`` a weight."""
        network = self.build().train()
        halves = zip(self.images.tensor_split(2), self.labels.tensor_split(2), strict=True)
        pairs = []
        for images, labels in halves:
            forward = _forward(network, images)
            pairs.append(_gradients(F.cross_entropy(forward.logits, labels), forward.weights))
        return [torch.stack([a.gradient, b.gradient]) for a, b in zip(*pairs, strict=True)]

    @cached_property
    def flow(self) -> list[Weighted]:
        """The absolute parameters, with the gradients of the logits' sum on an image of ones.

        Computed in float64, with all parameters replaced by their absolute values, and with
        torch's normalisations left out, which would divide by the sum's size. A normalisation that
        is not torch's own works as in evaluation mode.
        """
        network = self.build().double().eval()
        parameters = [p for p in network.parameters() if p.requires_grad]
        with torch.no_grad():
            for parameter in parameters:
                parameter.abs_()
        ones = torch.ones_like(self.images[:1], dtype=torch.float64)
        try:
            with _WithoutNormalisation():
                return _gradients(network(ones).sum(), parameters)
        except RuntimeError as error:
            if status_of(error) is Status.OOM:
                raise
            reason = f"the network does not run on ones in float64: {one_line(error)}"
            raise NoScore(reason) from error

    @cached_property
    def _batch(self) -> _Forward:
        return _forward(self.build().train(), self.images)


class _Forward(NamedTuple):
    """One forward pass in training mode, with its graph.

    Attributes:
        weights: the parameters of two or more dimensions, so neither biases nor gains.
        images: ``(N, C, H, W)``, the leaf of the graph.
        logits: ``(N, classes)``, finite.
        agreement: ``(N, N)``; see ``Passes.agreement``.
    """

    weights: list[nn.Parameter]
    images: Tensor
    logits: Tensor
    agreement: Tensor


def _forward(network: nn.Module, images: Tensor) -> _Forward:
    leaf = images.detach().requires_grad_()
    recorder = _SignAgreement(images)
    # Dropout and the like must not depend on the state of the caller's generator.
    with torch.random.fork_rng([images.device] if images.is_cuda else []), recorder:
        torch.manual_seed(0)
        # A copy, since the network may overwrite its input.
        logits = network(leaf.clone())
    if not logits.isfinite().all():
        raise NoScore("the logits are not finite")
    weights = [p for p in network.parameters() if p.requires_grad and p.dim() > 1]
    return _Forward(weights, leaf, logits, recorder.kernel)


def _gradients(of: Tensor, parameters: Sequence[Tensor]) -> list[Weighted]:
    """Return parameters with their gradients, but for those that the network does not use."""
    if not parameters:
        raise NoScore("the network has nothing to train")
    gradients = torch.autograd.grad(of, parameters, retain_graph=True, allow_unused=True)
    pairs = zip(parameters, gradients, strict=True)
    return [Weighted(p.detach(), g) for p, g in pairs if g is not None]


class _SignAgreement(TorchFunctionMode):
    """Counts, for every two images, the rectifiers whose inputs have the same sign.

    It sees rectifiers that are modules, functions or tensor methods, but not those inside a
    scripted module.
    """

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        size = len(images)
        self.kernel = torch.zeros(size, size, dtype=torch.float64, device=images.device)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if _is_rectifier(func, kwargs):
            # Before the call, which may overwrite its input.
            self._count(_input(args, kwargs).detach())
        return func(*args, **kwargs)

    def _count(self, values: Tensor) -> None:
        if len(values) != len(self.kernel):
            raise NoScore("a rectifier's first dimension is not that of the images")
        # The product of two signs is 1 where they agree and -1 where they do not. Integers below
        # 2**24 are exact in float32.
        signs = torch.where(values > 0, 1.0, -1.0).flatten(1)
        self.kernel += (signs @ signs.T + signs.shape[1]).double() / 2


class _WithoutNormalisation(TorchFunctionMode):
    """Makes each of torch's normalisations, module or function, return its input unchanged."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if _name(func) in NORMALISATIONS:
            return _input(args, kwargs)
        return func(*args, **kwargs)


def _name(func: Callable[..., Any]) -> str:
    return getattr(func, "__name__", "")


def _is_rectifier(func: Callable[..., Any], kwargs: Mapping[str, Any]) -> bool:
    name = _name(func)
    # ``nn.ReLU6`` is a hard tanh that starts at zero.
    return name in RECTIFIERS or (name == "hardtanh" and kwargs.get("min_val") == 0)


def _input(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    tensor: Tensor = args[0] if args else kwargs["input"]
    return tensor
