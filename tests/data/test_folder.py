from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gtn_nas.data import load_dataset
from gtn_nas.errors import DataError


def write(path: Path, colour: int | tuple[int, int, int], size: tuple[int, int] = (10, 10)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L" if isinstance(colour, int) else "RGB", size, colour).save(path)


def fill(folder: Path, classes: str, count: int = 5, first: int = 0) -> None:
    """Write grey images of which no two are equal, one folder per class."""
    for label, name in enumerate(classes.split()):
        for number in range(count):
            write(folder / name / f"{number}.png", first + label * count + number)


def greys(split) -> list[int]:
    return sorted(split.images[:, 0, 0, 0].tolist())


def test_one_folder_per_class(tmp_path):
    fill(tmp_path, "cat dog owl", 10)
    dataset = load_dataset(f"folder:{tmp_path}")
    assert dataset.name == f"folder:{tmp_path}"
    assert dataset.classes == ("cat", "dog", "owl")
    assert dataset.image_shape == (1, 10, 10)
    parts = (dataset.train, dataset.validation, dataset.test)
    assert [len(part) for part in parts] == [18, 6, 6]
    assert sorted(n for part in parts for n in greys(part)) == list(range(30))
    for part in parts:
        assert (part.images[:, 0, 0, 0] // 10).tolist() == part.labels.tolist()


def test_a_published_test_folder_is_kept(tmp_path):
    fill(tmp_path / "train", "cat dog", 10)
    fill(tmp_path / "test", "cat dog", 3, first=100)
    dataset = load_dataset(f"folder:{tmp_path}")
    assert greys(dataset.test) == list(range(100, 106))
    assert sorted(greys(dataset.train) + greys(dataset.validation)) == list(range(20))


def test_train_alone_is_split_threefold(tmp_path):
    fill(tmp_path / "train", "cat dog")
    dataset = load_dataset(f"folder:{tmp_path}")
    assert dataset.classes == ("cat", "dog")
    assert len(dataset.test) == 2


def test_train_can_be_a_class_of_its_own(tmp_path):
    fill(tmp_path, "car train")
    assert load_dataset(f"folder:{tmp_path}").classes == ("car", "train")


def test_mixed_formats_sizes_and_colours_and_nested_folders(tmp_path):
    for name in ("cat", "dog"):
        write(tmp_path / name / "a.PNG", 3, (40, 30))
        write(tmp_path / name / "b.jpg", (250, 0, 0), (30, 90))
        write(tmp_path / name / "deep" / "er" / "c.webp", (0, 250, 0), (31, 33))
        write(tmp_path / name / "d.bmp", 9, (8, 8))
        (tmp_path / name / "notes.txt").write_text("no image")
        (tmp_path / name / "._a.png").write_text("no image")
        (tmp_path / ".hidden").mkdir(exist_ok=True)
    dataset = load_dataset(f"folder:{tmp_path}")
    assert dataset.classes == ("cat", "dog")
    assert dataset.image_shape == (3, 30, 30)
    assert len(dataset.train) + len(dataset.validation) + len(dataset.test) == 8
    assert load_dataset(f"folder:{tmp_path}", image_size=12).image_shape == (3, 12, 12)


def test_the_fingerprint_follows_the_pictures_not_the_path(tmp_path):
    fill(tmp_path / "here", "cat dog")
    fill(tmp_path / "there", "cat dog")
    here, there = (load_dataset(f"folder:{tmp_path / n}") for n in ("here", "there"))
    assert here.fingerprint == there.fingerprint
    write(tmp_path / "there" / "cat" / "0.png", 99)
    assert load_dataset(f"folder:{tmp_path / 'there'}").fingerprint != here.fingerprint


def complaint(folder: Path, image_size: int | None = None) -> str:
    with pytest.raises(DataError) as caught:
        load_dataset(f"folder:{folder}", image_size=image_size)
    assert len(str(caught.value).splitlines()) <= 2
    return str(caught.value)


def test_a_missing_folder(tmp_path):
    assert "there is no folder" in complaint(tmp_path / "nowhere")


def test_an_empty_folder_and_images_without_classes(tmp_path):
    assert "has no images in folders of classes" in complaint(tmp_path)
    write(tmp_path / "a.png", 1)
    assert "put them in one folder per class" in complaint(tmp_path)


def test_a_single_class(tmp_path):
    fill(tmp_path, "cat")
    assert "only one class, 'cat'" in complaint(tmp_path)


def test_a_class_without_images(tmp_path):
    fill(tmp_path, "cat dog")
    (tmp_path / "owl").mkdir()
    assert "class 'owl' has 0; every class needs 3" in complaint(tmp_path)


def test_a_test_class_that_training_lacks(tmp_path):
    fill(tmp_path / "train", "cat dog")
    fill(tmp_path / "test", "cat dog owl")
    message = complaint(tmp_path)
    assert f"'{tmp_path / 'test' / 'owl'}' is a class that the training images lack" in message


def test_an_empty_test_folder(tmp_path):
    fill(tmp_path / "train", "cat dog")
    (tmp_path / "test").mkdir()
    assert "the test split: class 'cat' has 0" in complaint(tmp_path)


def test_a_truncated_image_is_named(tmp_path):
    fill(tmp_path, "cat dog")
    pixels = np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8)
    broken = tmp_path / "dog" / "x.jpg"
    Image.fromarray(pixels).save(broken)
    broken.write_bytes(broken.read_bytes()[:500])
    assert f"'{broken}' cannot be decoded" in complaint(tmp_path)


def test_images_below_8_pixels_need_an_image_size(tmp_path):
    for name in ("cat", "dog"):
        for number in range(3):
            write(tmp_path / name / f"{number}.png", number, (5, 20))
    assert "5x5 pixels are too small; set image_size to 8 or more" in complaint(tmp_path)
    assert load_dataset(f"folder:{tmp_path}", image_size=8).image_shape == (1, 8, 8)
    assert "image_size 4 is too small" in complaint(tmp_path, image_size=4)


def test_a_file_name_cannot_break_the_line(tmp_path):
    fill(tmp_path, "cat dog")
    (tmp_path / "cat" / "a\nb.png").write_bytes(b"")
    assert r"a\nb.png" in complaint(tmp_path)
