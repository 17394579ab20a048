"""Decoding of image files into one tensor: squares of one size, all grey or all RGB."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from statistics import median_low
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torch.nn import functional

from gtn_nas.errors import DataError, one_line

Item = TypeVar("Item")
Result = TypeVar("Result")

EncodedImage = Path | bytes
"""The path of an image file, or the file's contents."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "PPM", "TIFF")
"""Formats that may be decoded, recognised by a file's contents. Frequent ones come first, since
Pillow tries them in this order."""

GREY_MODES = frozenset({"1", "L", "LA", "I;16", "I;16B", "I;16L", "I;16N"})
MAX_DEFAULT_SIDE = 256
"""Largest default side in pixels, since a data set of large photographs would not fit into memory.
``image_size`` may be larger."""
BLOCK = 256
"""Images per task of the thread pool: starting a task costs more than decoding a small image."""


def decode(
    encoded: Sequence[EncodedImage], image_size: int | None, place: Callable[[int], str]
) -> Tensor:
    """Decode images of any size and colour: as grey if all of them are grey, else as RGB.

    Every image is rotated by its EXIF orientation, put on a white background if it is transparent,
    and resized to one square (bilinear with antialiasing). This changes the aspect ratio of images
    that are not square.

    Args:
        encoded: the images, at least one.
        image_size: side of the square in pixels. By default the median of the images' shorter
            sides, at most 256.
        place: returns where the image with the given index comes from, for error messages.

    Returns:
        Images ``(N, C, side, side)``, uint8.

    Raises:
        DataError: an image is damaged, is in another format than ``FORMATS``, or has more pixels
            than Pillow allows.
    """
    headers = _for_each(encoded, _read_header, place)
    side = image_size or min(median_low(shorter for shorter, _ in headers), MAX_DEFAULT_SIDE)
    mode, channels = ("L", 1) if all(grey for _, grey in headers) else ("RGB", 3)
    pixels = np.empty((len(encoded), channels, side, side), dtype=np.uint8)

    def fill(index: int) -> None:
        square = _read_pixels(encoded[index], side, mode)
        pixels[index] = square.reshape(side, side, channels).transpose(2, 0, 1)

    _for_each(range(len(encoded)), fill, place)
    return torch.from_numpy(pixels)


def resize(images: Tensor, image_size: int | None) -> Tensor:
    """Resize uint8 images ``(N, C, H, W)`` to squares, bilinear with antialiasing.

    Args:
        images: the images.
        image_size: side of the square in pixels; ``None`` leaves the images as they are.
    """
    if image_size is None or images.shape[2:] == (image_size, image_size):
        return images
    square = (image_size, image_size)
    return functional.interpolate(images, square, mode="bilinear", antialias=True)


def _read_header(encoded: EncodedImage) -> tuple[int, bool]:
    """Return the shorter side in pixels, and whether the image is grey."""
    with _open(encoded) as image:
        return min(image.size), image.mode in GREY_MODES


def _read_pixels(encoded: EncodedImage, side: int, mode: str) -> NDArray[np.uint8]:
    """Return the image as a square of ``side`` pixels in Pillow's ``mode``."""
    with _open(encoded) as image:
        image.draft(None, (2 * side, 2 * side))  # decode a large JPEG at reduced size: faster
        upright = _as_8_bit(ImageOps.exif_transpose(image))
        if upright.has_transparency_data:
            layer = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
        square = upright.convert(mode).resize((side, side), Image.Resampling.BILINEAR)
        return np.asarray(square)


def _open(encoded: EncodedImage) -> Image.Image:
    return Image.open(BytesIO(encoded) if isinstance(encoded, bytes) else encoded, formats=FORMATS)


def _as_8_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey values down to 8 bits; Pillow would clip them at 255."""
    if image.mode in ("I", "F"):
        raise ValueError("has 32-bit pixels; 8 and 16 bits are supported")
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image


def _for_each(
    items: Sequence[Item], read: Callable[[Item], Result], place: Callable[[int], str]
) -> list[Result]:
    """Apply ``read`` to every item, in threads: Pillow releases Python's GIL while it decodes."""

    def read_block(start: int) -> list[Result]:
        return [read_one(index) for index in range(start, min(start + BLOCK, len(items)))]

    def read_one(index: int) -> Result:
        try:
            return read(items[index])
        except UnidentifiedImageError as error:
            problem = f"is no image of a known format ({', '.join(FORMATS)})"
            raise DataError(f"{place(index)} {problem}; remove it") from error
        except Exception as error:  # a damaged file makes decoders raise almost anything
            raise DataError(
                f"{place(index)} cannot be decoded ({one_line(error)}); repair or remove it"
            ) from error

    with ThreadPoolExecutor() as pool:
        blocks = pool.map(read_block, range(0, len(items), BLOCK))
        return [result for block in blocks for result in block]
