"""Settings of the data set, its split, the search space and the seed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from gtn_nas.config.base import Config, Group, setting


class DataConfig(Config):
    """Settings of every command that trains; each is described on its field."""

    dataset: str = setting(
        "digits",
        "Name of a data set (`gtn-nas datasets` lists them), or `folder:DIR` or `parquet:DIR` for "
        "images of your own. `DIR` may be the URI of a folder in a bucket.",
        Group.DATA,
    )
    data_dir: Path = setting(
        Path("data"), "Folder that downloaded data sets are kept in.", Group.DATA
    )
    image_size: Annotated[int, Field(ge=8)] | None = setting(
        None,
        "Side in pixels of the square that every image is resized to. By default images of equal "
        "size stay as they are, and others become squares of their median shorter side, at most "
        "256 pixels.",
        Group.DATA,
    )
    split_seed: Annotated[int, Field(ge=0)] = setting(
        0,
        "Seed of the split into training, validation and (where none is published) test images.",
        Group.DATA,
    )
    space: str = setting(
        "conv_chain",
        "Name of a search space (`gtn-nas spaces` lists them), or `module:Class` for one of your "
        "own.",
        Group.SPACE,
    )
    seed: Annotated[int, Field(ge=0)] = setting(
        0, "Seed of everything that is random, except for the split.", Group.DATA
    )
