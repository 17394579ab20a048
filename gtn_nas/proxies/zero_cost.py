"""Scores of networks that were never trained, from a few passes over one batch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from gtn_nas.errors import UnknownNameError
from gtn_nas.proxies.base import Build, Direction, ProxyData, Scores
from gtn_nas.proxies.passes import NoScore, Passes
from gtn_nas.spaces.base import Scale
from gtn_nas.trial import Trial

IMAGES = 32
"""Training images that untrained networks are looked at with."""


@dataclass(frozen=True)
class ZeroCostProxy:
    """A score of an untrained network.

    Attributes:
        name: of its column.
        direction: whether higher or lower is better.
        source: where it comes from.
        measure: computes it, a scalar; raises ``NoScore`` where it is not defined.
    """

    name: str
    direction: Direction
    source: str
    measure: Callable[[Passes], Tensor]


@dataclass(frozen=True)
class ZeroCostScores:
    """What zero-cost proxies found.

    Attributes:
        columns: finite scores by the name of their column.
        failures: the reason by the same names, for each that has no finite score.
    """

    columns: Mapping[str, float]
    failures: Mapping[str, str]


def nwot(passes: Passes) -> Tensor:
    """Log-determinant, in nats, of how many rectifiers agree in sign for every two images."""
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
    """Score eigenvalues of the correlations between images' gradients; ``-N`` if uncorrelated."""
    correlations = torch.corrcoef(passes.image_gradients.flatten(1).double())
    if not correlations.isfinite().all():
        raise NoScore("the gradient with respect to an image is constant or not finite")
    eigenvalues: Tensor = torch.linalg.eigvalsh(correlations) + 1e-5  # the paper's k
    return -(eigenvalues.log() + 1 / eigenvalues).sum()


def synflow(passes: Passes) -> Tensor:
    """Logarithm, in nats, of the sum of parameter times gradient; the images do not matter."""
    return _total(w.parameter * w.gradient for w in passes.flow).log()


def snip(passes: Passes) -> Tensor:
    """Sum over weights of ``|weight x gradient of the loss|``."""
    return _total((w.parameter * w.gradient).abs() for w in passes.loss_gradients)


def grad_norm(passes: Passes) -> Tensor:
    """Sum over layers of the Euclidean norm of the loss's gradient."""
    return _total(w.gradient.double().norm() for w in passes.loss_gradients)


def zico(passes: Passes) -> Tensor:
    """Sum over layers of the log of summed mean over deviation, in two batches, of gradients.

    Weights whose gradient has the same size in both batches have no such ratio and are left out.
    """
    return _total(_inverse_variation(g).log() for g in passes.half_gradients)


def _inverse_variation(gradients: Tensor) -> Tensor:
    """Sum mean over standard deviation of ``|gradients|`` along the first dimension."""
    sizes = gradients.double().abs()
    deviation, mean = torch.std_mean(sizes, dim=0, correction=0)
    varies = deviation != 0
    if not varies.any():
        raise NoScore("the gradient of a layer is the same in both batches")
    return (mean[varies] / deviation[varies]).sum()


def _total(parts: Iterable[Tensor]) -> Tensor:
    return torch.stack([part.double().sum() for part in parts]).sum()


PROXIES: Mapping[str, ZeroCostProxy] = {
    proxy.name: proxy
    for proxy in (
        ZeroCostProxy("nwot", "higher", "Mellor et al. 2021, arXiv 2006.04647v3, section 3", nwot),
        ZeroCostProxy(
            "jacob_cov", "higher", "Mellor et al. 2020, arXiv 2006.04647v1, section 3", jacob_cov
        ),
        ZeroCostProxy(
            "synflow",
            "higher",
            "Tanaka et al. 2020, arXiv 2006.05467, section 6; "
            "summed as in Abdelfattah et al. 2021, arXiv 2101.08134, section 3.2",
            synflow,
        ),
        ZeroCostProxy(
            "snip",
            "higher",
            "Lee et al. 2019, arXiv 1810.02340, section 4; "
            "summed as in Abdelfattah et al. 2021, arXiv 2101.08134, section 3.2",
            snip,
        ),
        ZeroCostProxy(
            "grad_norm",
            "higher",
            "Abdelfattah et al. 2021, arXiv 2101.08134, section 3.2",
            grad_norm,
        ),
        ZeroCostProxy("zico", "higher", "Li et al. 2023, arXiv 2301.11300, section 3.3", zico),
    )
}
"""All of them by name."""


def zero_cost_scores(
    build: Callable[[], nn.Module],
    images: Tensor,
    labels: Tensor,
    names: Iterable[str] = tuple(PROXIES),
) -> ZeroCostScores:
    """Score one candidate without training it.

    Proxies share their passes: one forward pass serves ``nwot``, ``jacob_cov``, ``snip`` and
    ``grad_norm``; ``zico`` takes the two halves of the batch and ``synflow`` one image of ones. The
    scores depend on the weights and the batch alone.

    Args:
        build: returns the candidate with the same weights at each call, on the images' device.
        images: ``(N, C, H, W)`` normalised training images, four or more; 32 are usual.
        labels: ``(N,)`` their classes.
        names: which proxies.

    Raises:
        UnknownNameError: there is no proxy of that name.
        ValueError: there are fewer than four images, or not one label for each.
    """
    passes = Passes(build, images, labels)
    columns: dict[str, float] = {}
    failures: dict[str, str] = {}
    for name in names:
        if name not in PROXIES:
            raise UnknownNameError("zero-cost proxy", name, PROXIES)
        try:
            score = float(PROXIES[name].measure(passes))
        except NoScore as error:
            failures[name] = str(error)
            continue
        if math.isfinite(score):
            columns[name] = score
        else:
            failures[name] = "not finite"
    return ZeroCostScores(columns, failures)


class ZeroCostProxies:
    """Some zero-cost proxies as one, so that they share their passes.

    Args:
        names: which.
        scale: of the network they look at.
    """

    name: ClassVar[str] = "zero_cost"
    directions: ClassVar[Mapping[str, Direction]] = {n: p.direction for n, p in PROXIES.items()}
    source: ClassVar[str] = "that of each"

    def __init__(self, names: Iterable[str], scale: Scale = "final") -> None:
        self.names, self.scale = tuple(names), scale

    def __call__(self, build: Build, trial: Trial, data: ProxyData) -> Scores:
        """Score the candidate on the first training images; see ``Proxy``."""
        begun = time.perf_counter()
        images, labels = data.calibration[:IMAGES], data.calibration_labels[:IMAGES]
        found = zero_cost_scores(lambda: build(scale=self.scale), images, labels, self.names)
        return Scores(found.columns, 0.0, time.perf_counter() - begun, found.failures)
