from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from gtn_nas.data import load_dataset
from gtn_nas.errors import DataError

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def png(grey: int, side: int = 9) -> dict[str, bytes]:
    buffer = BytesIO()
    Image.new("L", (side, side), grey).save(buffer, "PNG")
    return {"bytes": buffer.getvalue()}


def write(path: Path, labels: list, images: list | None = None, names=None, **types) -> None:
    """Write a file whose images are grey by their label, unless others are given."""
    images = images or [png(label % 256) for label in labels]
    table = pa.table(
        {
            "image": pa.array(images, types.get("image", IMAGE)),
            "label": pa.array(labels, types.get("label", pa.int64())),
        }
    )
    if names is not None:
        features = {"label": {"names": names, "_type": "ClassLabel"}, "image": {"_type": "Image"}}
        metadata = {"huggingface": json.dumps({"info": {"features": features}})}
        table = table.replace_schema_metadata(metadata)
    pq.write_table(table, path)


def test_a_part_of_cifar10(dev_data, tmp_path):
    published = dev_data / "cifar10" / "test-00000-of-00001.parquet"
    if not published.is_file():
        pytest.skip(f"no CIFAR-10 in {dev_data}")
    table = next(pq.ParquetFile(published).iter_batches(900))
    pq.write_table(pa.table(table[:300]), tmp_path / "train-00000-of-00002.parquet")
    pq.write_table(pa.table(table[300:600]), tmp_path / "train-00001-of-00002.parquet")
    pq.write_table(pa.table(table[600:]), tmp_path / "test-00000-of-00001.parquet")
    dataset = load_dataset(f"parquet:{tmp_path}")
    sizes = [len(part) for part in (dataset.train, dataset.validation, dataset.test)]
    assert sizes == [480, 120, 300]
    assert dataset.image_shape == (3, 32, 32)
    assert dataset.classes == tuple("0123456789")
    assert dataset.test.labels.tolist() == table["label"].to_pylist()[600:]
    last = Image.open(BytesIO(table["image"][899].as_py()["bytes"])).convert("RGB")
    np.testing.assert_array_equal(dataset.test.images[-1].permute(1, 2, 0), np.asarray(last))


def test_without_test_files_a_test_split_is_carved(tmp_path):
    write(tmp_path / "train.parquet", [0, 1] * 10)
    dataset = load_dataset(f"parquet:{tmp_path}")
    sizes = [len(part) for part in (dataset.train, dataset.validation, dataset.test)]
    assert sizes == [12, 4, 4]
    assert dataset.train.images[:, 0, 0, 0].tolist() == dataset.train.labels.tolist()


def test_class_names_come_from_the_metadata(tmp_path):
    write(tmp_path / "train.parquet", [0, 1] * 3, names=["cat", "dog"])
    assert load_dataset(f"parquet:{tmp_path}").classes == ("cat", "dog")


@pytest.mark.parametrize("metadata", ["{", "[]", '{"info": 3}', '{"info": {"features": {}}}'])
def test_unusable_metadata_is_passed_over(tmp_path, metadata):
    write(tmp_path / "train.parquet", [0, 1] * 3)
    table = pq.read_table(tmp_path / "train.parquet")
    foreign = table.replace_schema_metadata({"huggingface": metadata})
    pq.write_table(foreign, tmp_path / "train.parquet")
    assert load_dataset(f"parquet:{tmp_path}").classes == ("0", "1")


def test_labels_with_gaps_are_numbered_without(tmp_path):
    write(tmp_path / "train.parquet", [7, 3, 200] * 3, label=pa.uint8())
    write(tmp_path / "test.parquet", [200, 3, 7], label=pa.int32())
    dataset = load_dataset(f"parquet:{tmp_path}")
    assert dataset.classes == ("3", "7", "200")
    assert dataset.test.labels.tolist() == [2, 0, 1]


def test_a_large_binary_column_is_taken(tmp_path):
    large = pa.struct([("bytes", pa.large_binary())])
    write(tmp_path / "train.parquet", [0, 1] * 3, image=large)
    assert load_dataset(f"parquet:{tmp_path}", image_size=8).image_shape == (1, 8, 8)


def complaint(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_dataset(f"parquet:{folder}")
    assert len(str(caught.value).splitlines()) <= 2
    return str(caught.value)


def test_a_missing_folder_and_missing_files(tmp_path):
    assert "there is no folder" in complaint(tmp_path / "nowhere")
    write(tmp_path / "data.parquet", [0, 1])
    assert "has no images in files called train*.parquet" in complaint(tmp_path)
    write(tmp_path / "train.parquet", [], images=[])
    assert "has no images in files called train*.parquet" in complaint(tmp_path)


@pytest.mark.parametrize(
    "columns",
    [
        {"img": [b""], "label": [0]},
        {"image": [b""], "label": [0]},
        {"image": [{"path": "a.png"}], "label": [0]},
        {"image": [{"bytes": "text"}], "label": [0]},
        {"image": [{"bytes": b""}], "label": ["cat"]},
        {"image": [{"bytes": b""}]},
    ],
)
def test_other_columns(tmp_path, columns):
    pq.write_table(pa.table(columns), tmp_path / "train.parquet")
    message = complaint(tmp_path)
    assert "train.parquet' needs the columns image: struct<bytes: binary> and label" in message
    assert next(iter(columns)) in message.partition("it has")[2]


@pytest.mark.parametrize("keep", [0, 100, -10])
def test_a_torn_file(tmp_path, keep):
    path = tmp_path / "train-1.parquet"
    write(path, [0, 1] * 3)
    path.write_bytes(path.read_bytes()[:keep])
    assert f"'{path}' cannot be read as Parquet" in complaint(tmp_path)


def test_a_file_damaged_within(tmp_path):
    path = tmp_path / "train.parquet"
    write(path, [0, 1] * 3)
    contents = bytearray(path.read_bytes())
    contents[4:60] = bytes(56)
    path.write_bytes(contents)
    assert "train.parquet'" in complaint(tmp_path)


def test_rows_without_label_or_image(tmp_path):
    write(tmp_path / "train.parquet", [0, 1, None], images=[png(0), png(1), png(2)])
    assert "row 2 of" in complaint(tmp_path)
    write(tmp_path / "train.parquet", [0, 1, 0], images=[png(0), None, png(1)])
    assert "has no image.bytes" in complaint(tmp_path)
    write(tmp_path / "train.parquet", [0, 1, 0], images=[{"path": "a.png"}, png(0), png(1)])
    assert "row 0 of" in complaint(tmp_path)


def test_negative_labels(tmp_path):
    write(tmp_path / "train.parquet", [0, 1] * 3)
    write(tmp_path / "test.parquet", [0, -1])
    assert "test.parquet' has the label -1; labels count from 0" in complaint(tmp_path)


def test_labels_that_no_name_or_no_training_image_has(tmp_path):
    write(tmp_path / "train.parquet", [0, 1, 2] * 3, names=["cat", "dog"])
    assert "has the label 2, but its metadata names only 2 classes" in complaint(tmp_path)
    write(tmp_path / "train.parquet", [0, 1] * 3)
    write(tmp_path / "test.parquet", [0, 1, 5])
    assert "have labels that the training files lack: 5" in complaint(tmp_path)


def test_a_damaged_image_is_named_by_file_and_row(tmp_path):
    write(tmp_path / "train-0.parquet", [0, 1] * 3)
    write(tmp_path / "train-1.parquet", [0, 1], images=[png(0), {"bytes": b"no image"}])
    assert f"row 1 of '{tmp_path / 'train-1.parquet'}' is no image" in complaint(tmp_path)


def test_a_single_class(tmp_path):
    write(tmp_path / "train.parquet", [4] * 9)
    assert "only one class, '4'" in complaint(tmp_path)
