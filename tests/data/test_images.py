from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from gtn_nas.data.images import decode, resize
from gtn_nas.errors import DataError


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def solid(mode: str, size: tuple[int, int], colour) -> Image.Image:
    return Image.new(mode, size, colour)


@settings(max_examples=25)
@given(
    pixels=st.one_of(
        hnp.arrays(np.uint8, st.tuples(st.integers(1, 5), st.just(9), st.just(9))),
        hnp.arrays(np.uint8, st.tuples(st.integers(1, 5), st.just(9), st.just(9), st.just(3))),
    ),
    kind=st.sampled_from(["PNG", "BMP", "TIFF"]),
)
def test_equal_squares_come_back_pixel_by_pixel(pixels, kind):
    images = decode([encoded(Image.fromarray(p), kind) for p in pixels], None, str)
    expected = pixels[:, None] if pixels.ndim == 3 else pixels.transpose(0, 3, 1, 2)
    assert images.dtype == torch.uint8
    np.testing.assert_array_equal(images.numpy(), expected)


def test_many_images_keep_their_order():
    images = decode([encoded(solid("L", (8, 8), i % 256)) for i in range(700)], None, str)
    assert images[:, 0, 4, 4].tolist() == [i % 256 for i in range(700)]


@pytest.mark.parametrize(
    ("sizes", "side"),
    [
        ([(20, 10), (30, 40), (50, 50)], 30),
        ([(20, 10), (30, 40)], 10),
        ([(300, 200)] * 3, 200),
        ([(300, 260)] * 3, 256),
    ],
)
def test_the_default_side_is_the_median_shorter_side_up_to_256(sizes, side):
    images = decode([encoded(solid("L", size, 9)) for size in sizes], None, str)
    assert images.shape == (len(sizes), 1, side, side)
    assert (images == 9).all()


def test_one_colour_image_makes_all_rgb():
    files = [encoded(solid("L", (8, 8), 7)), encoded(solid("RGB", (8, 8), (1, 2, 3)))]
    images = decode(files, None, str)
    assert images[:, :, 0, 0].tolist() == [[7, 7, 7], [1, 2, 3]]
    assert decode(files[:1], None, str).shape[1] == 1


def test_shrinking_averages_instead_of_skipping_pixels():
    stripes = Image.fromarray(np.tile(np.array([0, 255], np.uint8), (64, 32)))
    images = decode([encoded(stripes)], 8, str)
    assert images.float().mean() == pytest.approx(127.5, abs=1)
    assert images[..., 2:-2].float().std() < 3


def test_the_exif_orientation_is_honoured():
    pixels = np.zeros((16, 16), np.uint8)
    pixels[:8, :8] = 200
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    images = decode([encoded(Image.fromarray(pixels), exif=exif)], None, str)
    np.testing.assert_array_equal(images[0, 0].numpy(), np.rot90(pixels, -1))


def test_transparent_pixels_become_white():
    drawing = solid("RGBA", (8, 8), (0, 0, 0, 0))
    drawing.putpixel((3, 3), (10, 20, 30, 255))
    images = decode([encoded(drawing)], None, str)
    assert images[0, :, 0, 0].tolist() == [255, 255, 255]
    assert images[0, :, 3, 3].tolist() == [10, 20, 30]


def test_sixteen_bits_are_scaled_to_eight():
    ramp = (np.arange(64, dtype=np.uint16) * 1024).reshape(8, 8)
    images = decode([encoded(Image.fromarray(ramp))], None, str)
    assert images.shape == (1, 1, 8, 8)
    np.testing.assert_array_equal(images[0, 0].numpy(), ramp >> 8)


@pytest.mark.parametrize("mode", ["1", "P", "LA", "CMYK", "YCbCr"])
def test_other_modes_are_understood(mode):
    kind = "JPEG" if mode in ("CMYK", "YCbCr") else "PNG"
    white = encoded(solid("L", (8, 8), 255).convert(mode), kind)
    assert (decode([white], None, str) >= 254).all()


def test_a_large_photo_keeps_its_picture():
    gradient = Image.linear_gradient("L").resize((1600, 1200))
    images = decode([encoded(gradient, "JPEG", quality=95)], 16, str)
    column = images[0, 0, :, 8].float()
    expected = torch.linspace(0, 255, 33)[1::2]
    assert (column - expected).abs().max() < 4


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("damaged", "complaint"),
    [
        (cut(encoded(NOISE, "PNG")), "cannot be decoded"),
        (cut(encoded(NOISE, "JPEG")), "cannot be decoded .*truncated"),
        (cut(encoded(NOISE, "WEBP", lossless=True)), "cannot be decoded"),
        (b"", "no image of a known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "no image of a known format"),
        (encoded(solid("F", (8, 8), 0.5), "TIFF"), "has 32-bit pixels"),
    ],
)
def test_a_damaged_image_is_named(damaged, complaint):
    files = [encoded(NOISE), damaged]
    with pytest.raises(DataError, match=f"row 1 .*{complaint}") as caught:
        decode(files, None, lambda index: f"row {index}")
    assert "\n" not in str(caught.value)


def test_an_image_of_too_many_pixels_is_refused(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match="decompression bomb"):
        decode([encoded(NOISE)], None, str)


def test_resize_of_tensors():
    images = torch.full((2, 3, 12, 10), 50, dtype=torch.uint8)
    assert resize(images, None) is images
    resized = resize(images, 16)
    assert resized.shape == (2, 3, 16, 16)
    assert resized.dtype == torch.uint8
    assert (resized == 50).all()
