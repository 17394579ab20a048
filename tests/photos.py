"""Images of one's own: random noise as files, and as a data set in memory."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from gtn_nas.data.base import ImageDataset, RawDataset, Split
from gtn_nas.data.splits import split


def write_photos(folder: Path, side: int, count: int = 10) -> str:
    """Write RGB images of two classes, so many of each; return the data set's name."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return f"folder:{folder}"


def write_pictures(folder: Path, count: int = 60) -> str:
    """Write colour JPEGs of three classes in many sizes, which can be told apart; return the name.

    Every picture is noise with a disc, a cross or stripes, in any colour and at any place.
    """
    rng = np.random.default_rng(0)
    for name in ("disc", "cross", "stripes"):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            height, width = (int(side) for side in rng.integers(40, 160, 2))
            y, x = np.mgrid[:height, :width] / max(height, width)
            place_y, place_x = rng.uniform(0.3, 0.7, 2) * (height, width) / max(height, width)
            shapes = {
                "disc": np.hypot(y - place_y, x - place_x) < 0.2,
                "cross": np.minimum(abs(y - place_y), abs(x - place_x)) < 0.06,
                "stripes": np.sin(40 * (x * rng.uniform(-1, 1) + y + place_x)) > 0,
            }
            pixels = rng.normal(rng.uniform(40, 120, 3), 20, (height, width, 3))
            pixels[shapes[name]] += rng.uniform(60, 120, 3)
            image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            image.save(folder / name / f"{number}.jpg")
    return f"folder:{folder}"


def make_dataset(
    image_shape: tuple[int, int, int] = (1, 8, 8), classes: int = 2, per_class: int = 5
) -> ImageDataset:
    """Return noise as a data set."""
    labels = torch.arange(classes).repeat(per_class)
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(256, (len(labels), *image_shape), dtype=torch.uint8, generator=rng)
    return split("noise", RawDataset(Split(images, labels), None, _names(classes)), 0)


def _names(classes: int) -> tuple[str, ...]:
    return tuple(f"class {label}" for label in range(classes))
