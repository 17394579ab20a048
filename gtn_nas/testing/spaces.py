"""Check that a search space keeps the rules that searches and teachers rely on."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from gtn_nas.architecture import Architecture, Choice
from gtn_nas.spaces.base import Scale, SearchSpace
from gtn_nas.testing import require

Shape = tuple[int, int, int]

CLASSES = 7
ARCHITECTURES = 100
"""Number of random architectures in each check of choices."""
NETWORKS = 5
"""Number of random networks in each check of networks."""


def check_space(space: SearchSpace, image_shape: Shape = (3, 32, 32)) -> None:
    """Check that a search space keeps every rule in this module.

    Args:
        space: the search space.
        image_shape: channels, height and width of the images that its networks must accept.

    Raises:
        AssertionError: the space breaks a rule; the message says which, and with which choices.
    """
    for check in CHECKS_OF_CHOICES:
        check(space)
    for check_networks in CHECKS_OF_NETWORKS:
        check_networks(space, image_shape)


def architectures_survive_json(space: SearchSpace) -> None:
    """Architectures must survive conversion to JSON, since a run stores them as JSON."""
    for choices in _drawn(space):
        architecture = space.architecture(choices)
        again = Architecture.from_json(space.name, architecture.to_json())
        require(
            again.key == architecture.key and again.choices == architecture.choices,
            f"{choices} are others after JSON; use numbers, strings, True, False and None",
        )


def the_canonical_form_is_a_fixed_point_in_the_space(space: SearchSpace) -> None:
    """The canonical form of a canonical form must be itself, and consist of the space's options."""
    for choices in _drawn(space):
        canonical = space.canonical(Architecture(space.name, choices))
        require(
            space.canonical(canonical) == canonical,
            f"canonical changes what it returned for {choices}",
        )
        require(
            canonical.space == space.name,
            f"canonical returned an architecture of {canonical.space!r} for one of {space.name!r}",
        )
        _require_options(space, canonical)


def keys_depend_on_the_choices_alone(space: SearchSpace) -> None:
    """Keys must not depend on the order in which choices are named."""
    for choices in _drawn(space):
        backwards = dict(reversed(choices.items()))
        require(
            space.architecture(backwards).key == space.architecture(choices).key,
            f"the order in which choices are named changes the key of {choices}",
        )


def sampling_follows_the_seed_and_is_canonical(space: SearchSpace) -> None:
    """Equal seeds must give equal samples, since a resumed run samples again."""
    for seed in range(ARCHITECTURES):
        architecture = space.sample(random.Random(seed))
        require(
            architecture == space.sample(random.Random(seed)),
            f"sample returned two architectures for one seed, {seed}; draw from its rng alone",
        )
        require(
            architecture == space.canonical(architecture),
            f"sample returned what is not canonical: {dict(architecture.choices)}",
        )


def sampling_reaches_every_option(space: SearchSpace) -> None:
    """Every option must be sampled, since an option that is never sampled is never tried."""
    largest = max(len(options) for options in space.choices.values())
    rng = random.Random(0)
    samples = [space.sample(rng).choices for _ in range(max(500, 50 * largest))]
    for name, options in space.choices.items():
        missing = set(options) - {sample[name] for sample in samples if name in sample}
        require(
            not missing, f"{name}={missing} came in none of {len(samples)} random architectures"
        )


def a_mutation_changes_the_key_and_stays_in_the_space(space: SearchSpace) -> None:
    """A mutation must change the key, since evolution would else evaluate the parent again."""
    for seed, choices in enumerate(_drawn(space)):
        parent = space.architecture(choices)
        child = space.mutate(parent, random.Random(seed))
        require(
            child == space.mutate(parent, random.Random(seed)),
            f"mutate returned two architectures for one seed, {seed}; draw from its rng alone",
        )
        require(child.key != parent.key, f"mutate left {choices} as they were")
        require(
            child == space.canonical(child),
            f"mutate returned what is not canonical: {dict(child.choices)}",
        )
        _require_options(space, child)


def networks_take_images_and_learn(space: SearchSpace, image_shape: Shape) -> None:
    """Every network must map images to finite logits, and every parameter must have a gradient."""
    scales: tuple[Scale, ...] = ("proxy", "final")
    for scale in scales:
        for choices in _drawn(space, NETWORKS, f"{image_shape} {scale}"):
            what = f"the network of {choices} (scale {scale!r}, images {image_shape})"
            network = _build(space, space.architecture(choices), 0, image_shape, scale)
            images, labels = _batch(1, image_shape)
            logits = network(images)
            require(
                logits.shape == (len(images), CLASSES) and logits.isfinite().all(),
                f"{what} must return finite logits of shape {(len(images), CLASSES)}, and returned "
                f"{tuple(logits.shape)}",
            )
            parameters = dict(network.named_parameters())
            gradients = torch.autograd.grad(
                F.cross_entropy(logits, labels), tuple(parameters.values()), allow_unused=True
            )
            for name, gradient in zip(parameters, gradients, strict=True):
                require(
                    gradient is not None and gradient.isfinite().all(),
                    f"{what}: the parameter {name} has no finite gradient; leave parameters out "
                    "that forward does not use",
                )
            require(
                any(gradient.any() for gradient in gradients),
                f"{what}: all gradients are zero, so it cannot learn",
            )


def the_seed_decides_the_weights(space: SearchSpace, image_shape: Shape) -> None:
    """Equal seeds must give equal weights, and different seeds different weights."""
    for seed, choices in enumerate(_drawn(space, NETWORKS)):
        architecture = space.architecture(choices)
        state, same, other = (
            _build(space, architecture, s, image_shape).state_dict() for s in (seed, seed, seed + 1)
        )
        require(
            list(state) == list(same) and all(torch.equal(state[n], same[n]) for n in state),
            f"the network of {choices} got other weights under the same seed; draw them by torch",
        )
        require(
            any(not torch.equal(state[name], other[name]) for name in state),
            f"the network of {choices} got the same weights under another seed",
        )


def equal_keys_build_equal_networks(space: SearchSpace, image_shape: Shape) -> None:
    """An architecture and its canonical form must build equal networks."""
    for seed, choices in enumerate(_drawn(space, NETWORKS)):
        as_drawn = Architecture(space.name, choices)
        canonical = space.canonical(as_drawn)
        images, _ = _batch(seed, image_shape)
        logits = _build(space, as_drawn, seed, image_shape)(images)
        require(
            torch.equal(logits, _build(space, canonical, seed, image_shape)(images)),
            f"{choices} and their canonical form {dict(canonical.choices)} are other networks",
        )


def a_step_of_training_can_be_differentiated(space: SearchSpace, image_shape: Shape) -> None:
    """A training step must be differentiable: its gradient by the images is what teaches a teacher.

    This is the meta-gradient: a loss on real images after an inner step, with respect to the
    images of the step.
    """
    for choices in _drawn(space, NETWORKS):
        network = _build(space, space.architecture(choices), 0, image_shape)
        parameters = {name: p.detach().requires_grad_() for name, p in network.named_parameters()}
        images, labels = _batch(1, image_shape)
        images.requires_grad_()
        loss = F.cross_entropy(functional_call(network, parameters, (images,)), labels)
        gradients = torch.autograd.grad(loss, tuple(parameters.values()), create_graph=True)
        stepped = {
            name: value - 0.1 * gradient
            for (name, value), gradient in zip(parameters.items(), gradients, strict=True)
        }
        real_images, real_labels = _batch(2, image_shape)
        logits = functional_call(network, stepped, (real_images,))
        real_loss = F.cross_entropy(logits, real_labels)
        (found,) = torch.autograd.grad(real_loss, images, allow_unused=True)
        meta_gradient = torch.zeros_like(images) if found is None else found
        # Some architectures ignore their images, such as a cell without a path to its output.
        looks_at_images = not torch.allclose(logits, logits[:1].expand_as(logits))
        require(
            meta_gradient.isfinite().all() and bool(meta_gradient.any()) == looks_at_images,
            f"the network of {choices} gives no finite gradient of a loss after a step of training "
            "with respect to the images of that step",
        )


CHECKS_OF_CHOICES: Sequence[Callable[[SearchSpace], None]] = (
    architectures_survive_json,
    the_canonical_form_is_a_fixed_point_in_the_space,
    keys_depend_on_the_choices_alone,
    sampling_follows_the_seed_and_is_canonical,
    sampling_reaches_every_option,
    a_mutation_changes_the_key_and_stays_in_the_space,
)
"""The rules of choices; each is a function that raises an ``AssertionError`` if it is broken."""

CHECKS_OF_NETWORKS: Sequence[Callable[[SearchSpace, Shape], None]] = (
    networks_take_images_and_learn,
    the_seed_decides_the_weights,
    equal_keys_build_equal_networks,
    a_step_of_training_can_be_differentiated,
)
"""The rules of networks; each is a function that also takes the shape of an image."""


def _drawn(
    space: SearchSpace, count: int = ARCHITECTURES, seed: str = ""
) -> list[dict[str, Choice]]:
    """Draw sets of choices uniformly, inactive choices included."""
    rng = random.Random(seed)
    return [{n: rng.choice(o) for n, o in space.choices.items()} for _ in range(count)]


def _require_options(space: SearchSpace, architecture: Architecture) -> None:
    for name, value in architecture.choices.items():
        require(value in space.choices[name], f"{name}={value!r} is none of {space.choices[name]}")


def _build(
    space: SearchSpace,
    architecture: Architecture,
    seed: int,
    image_shape: Shape,
    scale: Scale = "proxy",
) -> nn.Module:
    torch.manual_seed(seed)
    return space.build(architecture, image_shape, CLASSES, scale)


def _batch(seed: int, image_shape: Shape, size: int = 4) -> tuple[Tensor, Tensor]:
    """Return images ``(N, C, H, W)`` and labels ``(N,)``."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (size,), generator=generator)
    return torch.randn(size, *image_shape, generator=generator), labels
