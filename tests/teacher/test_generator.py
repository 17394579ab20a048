import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from gtn_nas.teacher.generator import LEAK, RANGE, Generator

NOISE, CLASSES = 4, 7


def make_generator(shape=(1, 8, 8), hidden=16, channels=8, seed=0):
    torch.manual_seed(seed)
    return Generator(NOISE, CLASSES, shape, hidden, channels)


def wanted(images=12, seed=0):
    noise = torch.randn(images, NOISE, generator=torch.Generator().manual_seed(seed))
    return noise, torch.arange(images) % CLASSES


@settings(max_examples=30, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(8, 40), st.integers(8, 40)),
    hidden=st.integers(1, 20),
    channels=st.integers(1, 9),
)
def test_images_have_the_wanted_shape_and_range(shape, hidden, channels):
    noise, labels = wanted()
    images = make_generator(shape, hidden, channels)(noise, labels)
    assert images.shape == (len(noise), *shape)
    assert images.abs().max() <= RANGE  # which no value that is not a number does


def test_the_noise_and_the_label_decide_an_image():
    generator, (noise, labels) = make_generator(), wanted()
    images = generator(noise, labels)
    assert torch.equal(generator(noise, labels), images)
    other_noise, other_labels = generator(noise.flip(0), labels), generator(noise, labels.flip(0))
    assert not torch.allclose(other_noise, images)
    assert not torch.allclose(other_labels, images)


def test_a_label_is_a_class_or_its_probabilities():
    generator, (noise, labels) = make_generator(), wanted()
    certain = F.one_hot(labels, CLASSES).float()
    assert torch.equal(generator(noise, certain), generator(noise, labels))
    unsure = generator(noise, certain * 0.5 + 0.5 / CLASSES)
    assert not torch.allclose(unsure, generator(noise, labels))


def test_the_batch_at_hand_is_what_it_normalises_with():
    generator, (noise, labels) = make_generator(), wanted()
    images = generator.train()(noise, labels)
    assert torch.equal(generator.eval()(noise, labels), images)
    assert not torch.allclose(generator(noise[:6], labels[:6]), images[:6])


@pytest.mark.parametrize("layer", ["fc1", "fc2", "conv1", "conv2"])
def test_the_length_of_a_weight_vector_does_not_matter(layer):
    generator, inputs = make_generator(), wanted()
    images = generator(*inputs)
    _gain, direction = getattr(generator, layer).parametrizations.weight.parameters()
    with torch.no_grad():
        direction *= 3
        torch.testing.assert_close(generator(*inputs), images)
        direction += torch.randn_like(direction)
        assert not torch.allclose(generator(*inputs), images)


def test_noise_and_all_weights_can_be_learned():
    generator, (noise, labels) = make_generator(), wanted()
    noise.requires_grad_()
    generator(noise, labels).square().sum().backward()
    learned = [noise, *generator.parameters()]
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in learned)


def test_the_seed_decides_the_weights():
    images, same, other = (make_generator(seed=seed)(*wanted()) for seed in (0, 0, 1))
    assert torch.equal(images, same)
    assert not torch.allclose(images, other)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 12, 20), (1, 7, 9)], ids=str)
def test_images_are_those_of_doubled_reflected_and_convolved_maps(shape):
    torch.manual_seed(0)
    generator = Generator(5, 4, shape, hidden=16, channels=6)
    noise, labels = torch.randn(12, 5), torch.arange(12) % 4

    def plain(x, conv, size):
        doubled = F.interpolate(x, scale_factor=2, mode="nearest")
        return conv(F.pad(doubled, (1, 1, 1, 1), mode="reflect"))[..., : size[0], : size[1]]

    x = torch.cat([noise, F.one_hot(labels, 4).float()], 1)
    x = F.leaky_relu(generator.norms[0](generator.fc1(x)), LEAK)
    x = generator.fc2(x).view(-1, 6, *generator.sizes[0])
    x = F.leaky_relu(generator.norms[1](x), LEAK)
    x = F.leaky_relu(generator.norms[2](plain(x, generator.conv1, generator.sizes[1])), LEAK)
    expected = RANGE * torch.tanh(plain(x, generator.conv2, generator.sizes[2]))
    torch.testing.assert_close(generator(noise, labels), expected, rtol=1e-4, atol=1e-5)
