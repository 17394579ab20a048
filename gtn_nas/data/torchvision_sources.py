"""Public data sets from torchvision, downloaded once and then read from their folder."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch

from gtn_nas.data.base import RawDataset, Split
from gtn_nas.data.images import resize
from gtn_nas.data.torchvision_import import import_torchvision
from gtn_nas.errors import DataError, DownloadError

CLASS_NAMES = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "cifar10": "CIFAR10"}
"""The class in ``torchvision.datasets`` of each data set, by name."""

SILENCE_S = 10.0
"""Seconds without data from a server after which a download fails."""


def load(name: str, data_dir: Path, image_size: int | None) -> RawDataset:
    """Read a data set of ``CLASS_NAMES`` from ``data_dir``; download it first if it is missing.

    Torchvision checks the MD5 of every archive, also of archives that were copied there by hand.

    Raises:
        DownloadError: the data set is not in ``data_dir`` and cannot be downloaded.
        DataError: the unpacked files are damaged.
    """
    dataset_class = getattr(import_torchvision("torchvision.datasets"), CLASS_NAMES[name])
    train = _fetch(name, dataset_class, data_dir, train=True)
    test = _fetch(name, dataset_class, data_dir, train=False)
    return RawDataset(_split(train, image_size), _split(test, image_size), tuple(train.classes))


def _fetch(name: str, dataset_class: Any, data_dir: Path, *, train: bool) -> Any:
    """Build torchvision's data set; raise an error of one line if that fails."""
    try:
        with _timeout(SILENCE_S):
            return dataset_class(data_dir.expanduser(), train=train, download=True)
    except (AssertionError, EOFError, HTTPException, OSError, RuntimeError, ValueError) as error:
        if not _is_failed_download(error):
            raise DataError(
                f"the files of {name} in {str(data_dir)!r} are damaged; delete them and run again"
            ) from error
        _remove_empty_folders(name, data_dir.expanduser())
        cause = (str(error).strip() or type(error).__name__).splitlines()[-1]
        raise DownloadError(
            f"could not download {name} to {str(data_dir)!r} ({cause}); connect to the network, "
            f"copy the folder from where it was downloaded, or use 'digits', which needs neither"
        ) from error


def _is_failed_download(error: Exception) -> bool:
    """Tell whether an error means a failed download, not damaged files.

    Torchvision raises the same kinds of errors for both.
    """
    return (
        isinstance(error, OSError | HTTPException)
        or "Error downloading" in str(error)
        or "not found or corrupted" in str(error)
    )


def _remove_empty_folders(name: str, data_dir: Path) -> None:
    """Remove the empty folders that torchvision makes before it downloads anything."""
    own = data_dir / CLASS_NAMES[name]
    for folder in (own / "raw", own, data_dir):
        with suppress(OSError):  # the folder does not exist, or is not empty
            folder.rmdir()


@contextmanager
def _timeout(seconds: float) -> Iterator[None]:
    """Set a timeout for connections to servers; torchvision itself would wait forever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _split(dataset: Any, image_size: int | None) -> Split:
    """Turn ``(N, H, W)`` or ``(N, H, W, 3)`` pixels into ``(N, C, H, W)``."""
    pixels = torch.as_tensor(dataset.data)
    channels_last = pixels.unsqueeze(3) if pixels.dim() == 3 else pixels
    images = channels_last.permute(0, 3, 1, 2).contiguous()
    return Split(resize(images, image_size), torch.as_tensor(dataset.targets))
