"""Which images, and how they are split."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from gtn_nas.config.base import Config


class DataConfig(Config):
    """Which images, and how they are split.

    Attributes:
        dataset: name of a data set, ``folder:DIR`` or ``parquet:DIR``, also with a bucket's URI.
        data_dir: where downloadable data sets are kept.
        image_size: side that a folder's or Parquet's images are resized to, in pixels.
        split_seed: seed of the split into train, validation and (where none is published) test.
        space: name of a search space, or ``module:Class``.
        seed: seed of everything random but the split.
    """

    dataset: str = "digits"
    data_dir: Path = Path("data")
    image_size: Annotated[int, Field(ge=8)] | None = None
    split_seed: Annotated[int, Field(ge=0)] = 0
    space: str = "conv_chain"
    seed: Annotated[int, Field(ge=0)] = 0
