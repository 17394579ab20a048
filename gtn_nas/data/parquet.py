"""``parquet:DIR``: images in the Parquet layout that public data hubs use.

``DIR`` contains ``train*.parquet`` and, if there is a test split to keep, ``test*.parquet``, with
the columns ``image`` (a struct with the encoded image as ``bytes``) and ``label`` (an integer).
Class names come from the Hugging Face metadata in the schema, if it has any. Otherwise the name of
a class is its label.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from gtn_nas.data.base import RawDataset, Split
from gtn_nas.data.images import decode
from gtn_nas.errors import DataError, one_line


@dataclass(frozen=True)
class _Rows:
    """Contents of one file: encoded images, labels as written there, and class names, if any."""

    path: Path
    images: list[bytes]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]


def load(folder: Path, image_size: int | None) -> RawDataset:
    """Read all files of ``folder``; classes are the labels of the training files, in rising order.

    Raises:
        DataError: the folder or its training files are missing; a file is damaged or lacks the
            columns; a label is negative, has no name, or occurs in the test files only; or an
            image is damaged.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {str(folder)!r}; check the path after 'parquet:'")
    train = [_read(path) for path in sorted(folder.glob("train*.parquet"))]
    test = [_read(path) for path in sorted(folder.glob("test*.parquet"))]
    if not any(rows.images for rows in train):
        raise DataError(f"{str(folder)!r} has no images in files called train*.parquet")
    labels = np.concatenate([rows.labels for rows in train])
    used = np.unique(labels)
    images = decode(
        [image for rows in train + test for image in rows.images],
        image_size,
        lambda index: _place(train + test, index),
    )
    count = len(labels)
    return RawDataset(
        Split(images[:count], _indices(used, labels)),
        Split(images[count:], _test_indices(folder, used, test)) if test else None,
        _class_names(folder, used, train[0].class_names),
    )


def _read(path: Path) -> _Rows:
    """Read one file and check its columns and labels."""
    try:
        schema = pq.read_schema(path)
        _check_columns(path, schema)
        table = pq.read_table(path, columns=["image", "label"])
        images = pc.struct_field(table["image"], "bytes")
        labels = table["label"].cast(pa.int64())
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{str(path)!r} cannot be read as Parquet ({one_line(error)}); fetch it again"
        ) from error
    for column, values in (("image.bytes", images), ("label", labels)):
        if values.null_count:
            row = pc.index(pc.is_null(values), True).as_py()
            raise DataError(f"row {row} of {str(path)!r} has no {column}; fill or remove it")
    written = labels.to_numpy()
    if len(written) and written.min() < 0:
        row = int(written.argmin())
        raise DataError(
            f"row {row} of {str(path)!r} has the label {written[row]}; "
            f"labels count from 0 (some hubs hide those of the test split: leave it out)"
        )
    return _Rows(path, images.to_pylist(), written, _metadata_names(schema))


def _check_columns(path: Path, schema: Any) -> None:
    """Refuse a file without ``image: struct<bytes: binary>`` and ``label: integer``."""
    types = dict(zip(schema.names, schema.types, strict=True))
    if not (_holds_encoded_images(types.get("image")) and _is_integer(types.get("label"))):
        found = ", ".join(f"{name}: {kind}" for name, kind in types.items())
        raise DataError(
            f"{str(path)!r} needs the columns image: struct<bytes: binary> and label: int64; "
            f"it has {found or 'none'}"
        )


def _holds_encoded_images(kind: Any) -> bool:
    if kind is None or not pa.types.is_struct(kind):
        return False
    position = kind.get_field_index("bytes")
    if position < 0:
        return False
    content = kind.field(position).type
    return bool(pa.types.is_binary(content) or pa.types.is_large_binary(content))


def _is_integer(kind: Any) -> bool:
    return kind is not None and bool(pa.types.is_integer(kind))


def _metadata_names(schema: Any) -> tuple[str, ...]:
    """Return the class names that the ``datasets`` library wrote into the schema, if any."""
    try:
        metadata = json.loads((schema.metadata or {})[b"huggingface"])
        names = metadata["info"]["features"]["label"]["names"]
    except (KeyError, TypeError, ValueError):
        return ()
    usable = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return tuple(names) if usable else ()


def _class_names(folder: Path, used: NDArray[np.int64], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the class name of each label in ``used``."""
    if not names:
        return tuple(map(str, used.tolist()))
    if used[-1] >= len(names):
        raise DataError(
            f"{str(folder)!r} has the label {used[-1]}, but its metadata names only "
            f"{len(names)} classes, from 0 to {len(names) - 1}"
        )
    return tuple(names[label] for label in used.tolist())


def _test_indices(folder: Path, used: NDArray[np.int64], test: Sequence[_Rows]) -> torch.Tensor:
    """Return the class index of every row of the test files."""
    labels = np.concatenate([rows.labels for rows in test])
    unknown = np.setdiff1d(labels, used)
    if len(unknown):
        raise DataError(
            f"the test files of {str(folder)!r} have labels that the training files lack: "
            f"{', '.join(map(str, unknown[:5].tolist()))}; add them there or remove them"
        )
    return _indices(used, labels)


def _indices(used: NDArray[np.int64], labels: NDArray[np.int64]) -> torch.Tensor:
    """Replace each label by its position in ``used``, so that classes are numbered without gaps."""
    return torch.from_numpy(np.searchsorted(used, labels))


def _place(files: Sequence[_Rows], index: int) -> str:
    """Return the file and row of the image with the given index, for error messages."""
    for rows in files:
        if index < len(rows.images):
            return f"row {index} of {str(rows.path)!r}"
        index -= len(rows.images)
    raise IndexError(index)
