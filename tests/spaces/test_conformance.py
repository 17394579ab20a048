"""What every registered search space must do, and the example of a user's own."""

import random

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import functional_call

from gtn_nas.architecture import Architecture
from gtn_nas.spaces import SPACES, get_space

IMAGE_SHAPES = [(1, 8, 8), (3, 8, 8), (1, 28, 28), (3, 32, 32), (3, 17, 23)]
CLASSES = 7

SPECS = [*SPACES, "examples.own_space:MobileChain"]

every_space = pytest.mark.parametrize("space", [*map(get_space, SPECS)], ids=SPECS)
many = settings(max_examples=100, deadline=None)
few = settings(max_examples=3, deadline=None)
seeds = st.integers(0, 2**31 - 1)


def draw_choices(data, space):
    options = {name: st.sampled_from(options) for name, options in space.choices.items()}
    return data.draw(st.fixed_dictionaries(options))


def seeded_build(space, architecture, seed, shape=(3, 8, 8), scale="proxy"):
    torch.manual_seed(seed)
    return space.build(architecture, shape, CLASSES, scale)


def batch(seed, shape=(3, 8, 8), size=4):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (size,), generator=generator)
    return torch.randn(size, *shape, generator=generator), labels


@every_space
@many
@given(data=st.data())
def test_an_architecture_survives_json(space, data):
    architecture = space.architecture(draw_choices(data, space))
    again = Architecture.from_json(space.name, architecture.to_json())
    assert again == architecture
    assert again.key == architecture.key


@every_space
@many
@given(data=st.data())
def test_the_canonical_form_is_a_fixed_point_in_the_space(space, data):
    choices = draw_choices(data, space)
    canonical = space.canonical(Architecture(space.name, choices))
    assert space.canonical(canonical) == canonical
    assert canonical.space == space.name
    assert all(value in space.choices[name] for name, value in canonical.choices.items())


@every_space
@many
@given(data=st.data())
def test_the_key_depends_on_the_choices_alone(space, data):
    choices = draw_choices(data, space)
    backwards = dict(reversed(choices.items()))
    assert space.architecture(backwards).key == space.architecture(choices).key


@every_space
@many
@given(seed=seeds)
def test_sampling_follows_the_seed_and_is_canonical(space, seed):
    architecture = space.sample(random.Random(seed))
    assert architecture == space.sample(random.Random(seed))
    assert architecture == space.canonical(architecture)


@every_space
def test_sampling_reaches_every_option(space):
    rng = random.Random(0)
    samples = [space.sample(rng).choices for _ in range(500)]
    for name, options in space.choices.items():
        assert {s[name] for s in samples if name in s} == set(options)


@every_space
@many
@given(data=st.data(), seed=seeds)
def test_a_mutation_changes_the_key_and_stays_in_the_space(space, data, seed):
    parent = space.architecture(draw_choices(data, space))
    child = space.mutate(parent, random.Random(seed))
    assert child == space.mutate(parent, random.Random(seed))
    assert child.key != parent.key
    assert child == space.canonical(child)
    assert all(value in space.choices[name] for name, value in child.choices.items())


@every_space
@pytest.mark.parametrize("scale", ["proxy", "final"])
@pytest.mark.parametrize("shape", IMAGE_SHAPES, ids=lambda shape: "x".join(map(str, shape)))
@few
@given(data=st.data())
def test_a_network_takes_the_images_and_learns(space, shape, scale, data):
    architecture = space.architecture(draw_choices(data, space))
    network = seeded_build(space, architecture, 0, shape, scale)
    images, labels = batch(1, shape)
    logits = network(images)
    assert logits.shape == (len(images), CLASSES)
    assert logits.isfinite().all()
    F.cross_entropy(logits, labels).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert any(p.grad.any() for p in network.parameters())


@every_space
@few
@given(data=st.data(), seed=seeds)
def test_the_seed_decides_the_weights(space, data, seed):
    architecture = space.architecture(draw_choices(data, space))
    state, same, other = (
        seeded_build(space, architecture, s).state_dict() for s in (seed, seed, seed + 1)
    )
    assert list(state) == list(same)
    assert all(torch.equal(state[name], same[name]) for name in state)
    assert any(not torch.equal(state[name], other[name]) for name in state)


@every_space
@few
@given(data=st.data(), seed=seeds)
def test_equal_keys_build_equal_networks(space, data, seed):
    as_drawn = Architecture(space.name, draw_choices(data, space))
    images, _ = batch(seed)
    logits = seeded_build(space, as_drawn, seed)(images)
    assert torch.equal(logits, seeded_build(space, space.canonical(as_drawn), seed)(images))


@every_space
@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_a_step_of_training_can_be_differentiated(space, data):
    network = seeded_build(space, space.architecture(draw_choices(data, space)), 0)
    parameters = {name: p.detach().requires_grad_() for name, p in network.named_parameters()}
    images, labels = batch(1)
    images.requires_grad_()
    loss = F.cross_entropy(functional_call(network, parameters, (images,)), labels)
    gradients = torch.autograd.grad(loss, tuple(parameters.values()), create_graph=True)
    stepped = {
        name: value - 0.1 * gradient
        for (name, value), gradient in zip(parameters.items(), gradients, strict=True)
    }
    real_images, real_labels = batch(2)
    logits = functional_call(network, stepped, (real_images,))
    (meta_gradient,) = torch.autograd.grad(F.cross_entropy(logits, real_labels), images)
    assert meta_gradient.isfinite().all()
    # Some architectures, such as a cell without a path, ignore their images altogether.
    looks_at_images = not torch.allclose(logits, logits[:1].expand_as(logits))
    assert bool(meta_gradient.any()) == looks_at_images
