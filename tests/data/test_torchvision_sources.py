from __future__ import annotations

import gzip
import hashlib
import pickle
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
import torch

from gtn_nas.data import load_dataset
from gtn_nas.data.torchvision_import import import_torchvision
from gtn_nas.errors import DataError, DownloadError

NOWHERE = "http://127.0.0.1:9/"


@pytest.fixture
def offline(monkeypatch):
    """Torchvision's data sets with addresses at which nothing answers."""
    datasets = import_torchvision("torchvision.datasets")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(datasets.MNIST, "mirrors", [NOWHERE])
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [NOWHERE])
    monkeypatch.setattr(datasets.CIFAR10, "url", NOWHERE + "cifar-10-python.tar.gz")
    return datasets


@pytest.fixture(scope="module")
def mnist_folder(dev_data, tmp_path_factory) -> Path:
    if not (dev_data / "MNIST").is_dir():
        pytest.skip(f"no MNIST archives in {dev_data}")
    folder = tmp_path_factory.mktemp("data")
    shutil.copytree(dev_data / "MNIST", folder / "MNIST")
    return folder


def test_mnist_from_its_archives(offline, mnist_folder):
    dataset = load_dataset("mnist", data_dir=mnist_folder)
    sizes = [len(part) for part in (dataset.train, dataset.validation, dataset.test)]
    assert sizes == [55_000, 5_000, 10_000]
    assert dataset.image_shape == (1, 28, 28)
    assert dataset.train.images.dtype == torch.uint8
    assert dataset.classes[3] == "3 - three"
    assert dataset.mean == pytest.approx((0.1307,), abs=1e-3)
    assert dataset.std == pytest.approx((0.3081,), abs=1e-3)
    with gzip.open(mnist_folder / "MNIST/raw/t10k-labels-idx1-ubyte.gz") as file:
        published = np.frombuffer(file.read()[8:], np.uint8)
    np.testing.assert_array_equal(dataset.test.labels, published)
    with gzip.open(mnist_folder / "MNIST/raw/t10k-images-idx3-ubyte.gz") as file:
        first = np.frombuffer(file.read(16 + 28 * 28)[16:], np.uint8)
    np.testing.assert_array_equal(dataset.test.images[0].flatten(), first)


def test_mnist_can_be_resized(offline, mnist_folder):
    dataset = load_dataset("mnist", data_dir=mnist_folder, image_size=14)
    assert dataset.image_shape == (1, 14, 14)
    assert dataset.mean == pytest.approx((0.1307,), abs=2e-3)


def write_cifar10(datasets, folder: Path, monkeypatch) -> np.ndarray:
    """Write a small CIFAR-10 in the published form, and make torchvision expect it."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (60, 3072), dtype=np.uint8)
    contents = {
        "data_batch_1": {"data": pixels[:40], "labels": [i % 10 for i in range(40)]},
        "test_batch": {"data": pixels[40:], "labels": [i % 10 for i in range(20)]},
        "batches.meta": {"label_names": list("abcdefghij")},
    }
    base = folder / datasets.CIFAR10.base_folder
    base.mkdir()
    sums = {}
    for name, value in contents.items():
        (base / name).write_bytes(pickle.dumps(value))
        sums[name] = hashlib.md5((base / name).read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [["data_batch_1", sums["data_batch_1"]]])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    meta = {"filename": "batches.meta", "key": "label_names", "md5": sums["batches.meta"]}
    monkeypatch.setattr(datasets.CIFAR10, "meta", meta)
    return pixels


def test_cifar10_becomes_channels_first(offline, tmp_path, monkeypatch):
    pixels = write_cifar10(offline, tmp_path, monkeypatch)
    dataset = load_dataset("cifar10", data_dir=tmp_path)
    assert dataset.image_shape == (3, 32, 32)
    assert dataset.classes == tuple("abcdefghij")
    np.testing.assert_array_equal(dataset.test.images, pixels[40:].reshape(20, 3, 32, 32))
    assert dataset.test.labels.tolist() == [i % 10 for i in range(20)]
    assert len(dataset.train) + len(dataset.validation) == 40


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_without_a_network_the_download_fails_in_one_line(offline, tmp_path, name, capfd):
    timeout = socket.getdefaulttimeout()
    with pytest.raises(DownloadError, match=f"could not download {name} .*'digits'") as caught:
        load_dataset(name, data_dir=tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 1
    assert socket.getdefaulttimeout() == timeout
    assert capfd.readouterr().out == ""


def test_a_data_dir_that_is_a_file_is_named(offline, tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(DownloadError, match=r"could not download mnist to .*data'"):
        load_dataset("mnist", data_dir=tmp_path / "data")


@pytest.mark.parametrize("contents", [b"", b"\x00\x00", b"\x00\x00\x08\x03" + bytes(20), b"no"])
def test_damaged_unpacked_files_are_named(offline, tmp_path, contents):
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for archive, _ in offline.MNIST.resources:
        (folder / archive.removesuffix(".gz")).write_bytes(contents)
    with pytest.raises(DataError, match=f"files of mnist in '{tmp_path}' are damaged; delete"):
        load_dataset("mnist", data_dir=tmp_path)
