"""Proxies that need no training: scores of a fresh network from a few passes over one batch.

Each function below is one proxy. Its name is that of its declaration in ``catalogue``, where its
source stands too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gtn_nas.errors import UnknownNameError
from gtn_nas.proxies.base import Build, ProxyData, ProxySettings, Scores, Tensors
from gtn_nas.proxies.catalogue import ZERO_COST
from gtn_nas.proxies.passes import NoScore, Passes
from gtn_nas.spaces.base import Scale
from gtn_nas.trial import Trial

IMAGES = 32
"""Training images in the batch."""


@dataclass(frozen=True)
class ZeroCostScores:
    """What zero-cost proxies found for one candidate.

    Attributes:
        columns: finite scores, by the proxy's name.
        failures: for each proxy without a finite score, the reason.
    """

    columns: Mapping[str, float]
    failures: Mapping[str, str]


def nwot(passes: Passes) -> Tensor:
    """Log-determinant, in nats, of the kernel that counts equal signs at rectifiers.

    Entry ``(i, j)`` of the kernel is the number of rectifiers whose inputs have the same sign for
    the images ``i`` and ``j``. The determinant is larger the more the images differ in this.
    """
    agreement = passes.agreement
    if not agreement.any():
        raise NoScore("the network has no rectifier")
    eigenvalues: Tensor = torch.linalg.eigvalsh(agreement)
    # Rounding leaves a singular kernel with tiny eigenvalues, whose logarithms mean nothing.
    rounding = len(agreement) * torch.finfo(agreement.dtype).eps * eigenvalues[-1]
    if eigenvalues[0] <= rounding:
        raise NoScore("the rectifiers do not tell all images apart")
    return eigenvalues.log().sum()


def jacob_cov(passes: Passes) -> Tensor:
    """Score of how little the gradients with respect to different images correlate.

    It is the sum over the eigenvalues ``v`` of their correlation matrix of ``-(log v + 1 / v)``.
    It is highest, ``-N`` for ``N`` images, where the gradients are uncorrelated.
    """
    correlations = torch.corrcoef(passes.image_gradients.flatten(1).double())
    if not correlations.isfinite().all():
        raise NoScore("the gradient with respect to an image is constant or not finite")
    eigenvalues: Tensor = torch.linalg.eigvalsh(correlations) + 1e-5  # the paper's k
    return -(eigenvalues.log() + 1 / eigenvalues).sum()


def synflow(passes: Passes) -> Tensor:
    """Logarithm, in nats, of the sum over the parameters of parameter times gradient.

    The images do not matter; see ``Passes.flow`` for what is differentiated.
    """
    return _total(w.parameter * w.gradient for w in passes.flow).log()


def snip(passes: Passes) -> Tensor:
    """Sum over the weights of ``|weight * gradient of the loss|``."""
    return _total((w.parameter * w.gradient).abs() for w in passes.loss_gradients)


def grad_norm(passes: Passes) -> Tensor:
    """Sum over the layers of the Euclidean norm of the gradient of the loss."""
    return _total(w.gradient.double().norm() for w in passes.loss_gradients)


def zico(passes: Passes) -> Tensor:
    """Sum over the layers of the logarithm of how steady the layer's gradients are.

    The steadiness of a layer is the sum over its weights of mean divided by standard deviation of
    the absolute gradient, over the two halves of the batch. A weight whose absolute gradient is the
    same in both halves has no such ratio and is left out.
    """
    return _total(_inverse_variation(g).log() for g in passes.half_gradients)


def _inverse_variation(gradients: Tensor) -> Tensor:
    """Sum mean divided by standard deviation of ``|gradients|`` ``(2, ...)`` over the weights."""
    sizes = gradients.double().abs()
    deviation, mean = torch.std_mean(sizes, dim=0, correction=0)
    varies = deviation != 0
    if not varies.any():
        raise NoScore("the gradient of a layer is the same in both batches")
    return (mean[varies] / deviation[varies]).sum()


def _total(parts: Iterable[Tensor]) -> Tensor:
    return torch.stack([part.double().sum() for part in parts]).sum()


FUNCTIONS: Mapping[str, Callable[[Passes], Tensor]] = {name: globals()[name] for name in ZERO_COST}
"""The function of each declared proxy, which has the proxy's name.

Each returns a scalar, or raises ``NoScore`` where it is not defined."""


def zero_cost_scores(
    build: Callable[[], nn.Module],
    images: Tensor,
    labels: Tensor,
    names: Iterable[str] = tuple(FUNCTIONS),
) -> ZeroCostScores:
    """Score one candidate without training it.

    Proxies share their passes: each pass of ``Passes`` is made once, when the first of them asks
    for it. The scores depend on the weights and the batch alone.

    Args:
        build: returns the candidate with the same weights at each call, on the images' device.
        images: ``(N, C, H, W)`` normalised training images, four or more.
        labels: ``(N,)`` their classes.
        names: the proxies to compute.

    Raises:
        UnknownNameError: there is no proxy of that name.
        ValueError: there are fewer than four images, or not one label for each.
    """
    passes = Passes(build, images, labels)
    columns: dict[str, float] = {}
    failures: dict[str, str] = {}
    for name in names:
        if name not in FUNCTIONS:
            raise UnknownNameError("zero-cost proxy", name, FUNCTIONS)
        try:
            score = float(FUNCTIONS[name](passes))
        except NoScore as error:
            failures[name] = str(error)
            continue
        if math.isfinite(score):
            columns[name] = score
        else:
            failures[name] = "not finite"
    return ZeroCostScores(columns, failures)


class ZeroCostProxies:
    """Some of these proxies, computed together so that they share their passes.

    Args:
        names: which ones.
        scale: size of the network that they look at.
    """

    def __init__(self, names: Iterable[str], scale: Scale = "final") -> None:
        self.names, self.scale = tuple(names), scale

    def __call__(self, build: Build, trial: Trial, data: ProxyData) -> Scores:
        """Score the candidate on the first training images; see ``base.Proxy``."""
        begun = time.perf_counter()
        images, labels = data.calibration[:IMAGES], data.calibration_labels[:IMAGES]
        found = zero_cost_scores(lambda: build(scale=self.scale), images, labels, self.names)
        return Scores(found.columns, 0.0, time.perf_counter() - begun, found.failures)


def make(names: Collection[str], settings: ProxySettings, tensors: Tensors) -> ZeroCostProxies:
    """Make the proxies; see ``base.Make``."""
    return ZeroCostProxies(names, settings.zero_cost_scale)
