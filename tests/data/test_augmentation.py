import math

import pytest
import torch

from gtn_nas.data.augmentation import GROUP, augmentation_for

SIDE = 32
GREY = [(1, 8, 8), (1, 17, 23), (1, 28, 28)]
COLOUR = [(3, 8, 8), (3, 17, 23), (3, 32, 32)]

every_shape = pytest.mark.parametrize(
    "shape", GREY + COLOUR, ids=lambda shape: "x".join(map(str, shape))
)


def augment(images, seed=0):
    torch.manual_seed(seed)
    return augmentation_for(images.shape[1])(images)


def noise(shape, count=16):
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(0))


def coordinates(channels, count):
    """Images whose pixels hold their own column, and images whose pixels hold their own row."""
    along = torch.arange(float(SIDE))
    down, right = torch.meshgrid(along, along, indexing="ij")
    return [image.expand(count, channels, SIDE, SIDE) for image in (right, down)]


def slope(images, dim):
    """Mean difference of neighbours around the centre of each image, along one side."""
    centre = images[:, 0, 12:20, 12:20]
    return centre.diff(dim=dim).mean((1, 2))


@every_shape
@pytest.mark.parametrize("count", [1, GROUP + 1, 64])
def test_images_keep_their_shape_and_type_and_the_originals_are_untouched(shape, count):
    images = noise(shape, count)
    before = images.clone()
    distorted = augment(images)
    assert distorted.shape == images.shape
    assert distorted.dtype == torch.float32
    assert torch.equal(images, before)
    assert not torch.equal(augment(images, 1), augment(images, 2))


@every_shape
def test_the_seed_decides_the_distortions(shape):
    images = noise(shape)
    assert torch.equal(augment(images, seed=3), augment(images, seed=3))
    assert not torch.equal(augment(images, seed=3), augment(images, seed=4))


@every_shape
def test_a_batch_is_distorted_in_many_ways(shape):
    same = noise(shape, 1).expand(64, *shape)
    distinct = {image.numpy().tobytes() for image in augment(same)}
    assert 6 <= len(distinct) <= 64 / GROUP


@every_shape
def test_what_moves_in_from_outside_is_background(shape):
    """Whatever its brightness: an image of one colour stays as it is, up to the border."""
    levels = torch.linspace(-2, 2, 64).view(-1, 1, 1, 1)
    plain = levels.expand(64, *shape)
    torch.testing.assert_close(augment(plain), plain)


def test_a_dark_frame_stays_dark():
    images = torch.full((64, 1, 8, 8), -1.0)
    images[:, :, 3:5, 3:5] = 2.0
    distorted = augment(images)
    assert distorted.min() >= -1.0 - 1e-5
    assert (distorted.amax((1, 2, 3)) > 0.5).all()
    for corner in (distorted[..., 0, 0], distorted[..., -1, -1]):
        torch.testing.assert_close(corner, torch.full_like(corner, -1.0))


def test_grey_images_are_turned_and_scaled_a_little_and_never_mirrored():
    right, down = (augment(images) for images in coordinates(1, 256))
    turn, most = math.radians(10.0), 1 / 0.9
    for along in (slope(right, 2), slope(down, 1)):
        assert math.cos(turn) / 1.1 - 1e-3 <= along.min() < 0.95
        assert 1.05 < along.max() <= most + 1e-3
    across = slope(right, 1)
    assert -math.sin(turn) * most - 1e-3 <= across.min() < -0.1
    assert 0.1 < across.max() <= math.sin(turn) * most + 1e-3


def test_grey_images_are_shifted_by_an_eighth_of_their_side_at_most():
    farthest = (SIDE / 8) * (math.cos(math.radians(10)) + math.sin(math.radians(10))) / 0.9
    for images in coordinates(1, 256):
        centre = augment(images)[:, 0, 15:17, 15:17].mean((1, 2)) - 15.5
        assert 3 < centre.max() <= farthest
        assert -farthest <= centre.min() < -3


def test_colour_images_are_shifted_by_whole_pixels_and_every_other_one_is_mirrored():
    right, down = (augment(images) for images in coordinates(3, 1024))
    mirrored = slope(right, 2) < 0
    assert 0.35 < mirrored.float().mean() < 0.65
    assert torch.equal(slope(right, 2).abs(), torch.ones(1024))
    assert torch.equal(slope(down, 1), torch.ones(1024))
    sideways = right[:, 0, 16, 16] - torch.where(mirrored, 15, 16)
    for shift in (sideways, down[:, 0, 16, 16] - 16):
        assert set(shift.tolist()) == set(range(-4, 5))


def test_colour_images_stay_aligned_across_channels():
    images = noise((1, 32, 32)).repeat(1, 3, 1, 1)
    red, green, blue = augment(images).unbind(1)
    assert torch.equal(red, green)
    assert torch.equal(red, blue)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@every_shape
def test_a_seed_means_the_same_on_every_device(shape):
    images = noise(shape)
    torch.testing.assert_close(augment(images.cuda()).cpu(), augment(images), atol=1e-4, rtol=1e-4)
