"""Writes the files beside an exported network that describe it and how to use it."""

from __future__ import annotations

import json
from collections.abc import Collection
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import jinja2
import torch

from gtn_nas.export.own_space import OwnSpace
from gtn_nas.export.trained import Images, Trained

RESIZE = "bilinear with antialiasing, to exactly this size; the aspect ratio is not kept"

FILES = {
    "model.py": "the network as plain PyTorch, which needs nothing of gtn-nas",
    "weights.safetensors": "its weights, under the names of `model.py`",
    "model.onnx": "both as ONNX, for any number of images",
    "preprocess.py": "an image as the network wants it, with Pillow and NumPy",
    "architecture.json": "all of the above for programs, and the choices of the search space",
}
"""The files that an export can have besides its README, with their descriptions."""

FINAL_COLUMNS = (
    "validation_accuracy",
    "validation_loss",
    "test_accuracy",
    "test_loss",
    "params",
    "flops",
    "best_epoch",
    "epochs",
    "seed",
)
"""Columns of a full training that are written into ``architecture.json``."""


def preprocess_py(images: Images) -> str:
    """Return the source of ``preprocess.py``, which turns an image into the network's input."""
    return _filled("preprocess.py", images=images, **_sizes(images))


def readme(trained: Trained, written: Collection[str], own_space: OwnSpace | None = None) -> str:
    """Return the text of the README.

    Args:
        trained: the network.
        written: names of the files that the export has.
        own_space: the copied module of the user's own search space, if there is one.
    """
    images = trained.images
    return _filled(
        "README.md",
        trained=trained,
        final=trained.final,
        images=images,
        version=version("gtn-nas"),
        resize=RESIZE,
        origin=_origin(images.dataset),
        classes=json.dumps(images.classes, indent=1),
        files={name: text for name, text in FILES.items() if name in written},
        own_space=own_space,
        **_sizes(images),
    )


def architecture_json(trained: Trained) -> str:
    """Return ``architecture.json``, the description of the network for programs."""
    images, sizes = trained.images, _sizes(trained.images)
    shape = ["N", *images.shape]
    facts: dict[str, Any] = {
        "space": trained.spec,
        "key": trained.architecture.key,
        "choices": dict(trained.architecture.choices),
        "scale": "final",
        "classes": images.classes,
        "input": {"name": "images", "dtype": "float32", "shape": shape},
        "output": {"name": "logits", "dtype": "float32", "shape": ["N", len(images.classes)]},
        "preprocessing": {
            "channels": "grey" if sizes["channels"] == 1 else "RGB",
            "height": sizes["height"],
            "width": sizes["width"],
            "resize": RESIZE,
            "scale": 1 / 255,
            "mean": images.mean,
            "std": images.std,
        },
        "dataset": images.dataset,
        "run": trained.run,
        "rank": trained.rank,
        **{name: trained.final.get(name) for name in FINAL_COLUMNS},
        "made_with": {"gtn-nas": version("gtn-nas"), "torch": str(torch.__version__)},
    }
    return json.dumps(facts, indent=2) + "\n"


def _filled(name: str, **values: Any) -> str:
    """Fill in a template."""
    environment = jinja2.Environment(  # noqa: S701 - not HTML; ``plain`` and JSON escape
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    environment.filters |= {"plain": _plain, "percent": _percent, "count": _count}
    text = (files("gtn_nas.export") / "template" / f"{name}.jinja").read_text(encoding="utf-8")
    return environment.from_string(text).render(**values)


def _sizes(images: Images) -> dict[str, int]:
    return dict(zip(("channels", "height", "width"), images.shape, strict=True))


def _origin(dataset: str) -> str:
    """Return a sentence on how the training images were made."""
    if dataset == "digits":
        return "The digits of scikit-learn hold values of 0-16, which were scaled to 0-255 first."
    if ":" in dataset:
        return "The images of the training went through the same steps."
    return "The images of the training came as arrays, and were resized in the same way if at all."


def _percent(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2%}"


def _count(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _plain(text: str) -> str:
    """Return a text of unknown origin without the characters that Markdown or HTML interprets."""
    return "".join(c if c.isprintable() and c not in "`|<>[]*" else " " for c in text)
