"""What is in a bucket, copied for libraries that read a disk's files; by a real S3 server."""

from pathlib import Path

import pytest

from gtn_nas.config.pretrain import PretrainConfig
from gtn_nas.config.search import SearchConfig
from gtn_nas.data import load_dataset
from gtn_nas.errors import ConfigError, StoreError
from gtn_nas.pretraining.pretraining import Pretraining
from gtn_nas.searching.search import search
from gtn_nas.storage.files import place_of
from gtn_nas.storage.local_copy import is_plain, kept_copy, local_copy
from gtn_nas.teacher.artifact import read_header

from ..photos import write_photos


def put(bucket: str, names: dict[str, bytes]) -> None:
    for name, contents in names.items():
        (place_of(bucket) / name).write_bytes(contents)


def put_folder(bucket: str, folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    put(bucket, {str(path.relative_to(folder.parent)): path.read_bytes() for path in files})


def test_a_path_is_itself(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with local_copy("~/photos") as place:
        assert place == tmp_path / "photos"


def test_a_file_and_a_folder_are_copied_for_as_long_as_they_are_needed(bucket):
    put(bucket, {"data/train/a.txt": b"a", "data/b.txt": b"b", "other/c.txt": b"c"})
    with local_copy(f"{bucket}/data/") as folder:
        found = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.txt")}
        assert found == {"train/a.txt": b"a", "b.txt": b"b"}
    assert not folder.exists()
    with local_copy(f"{bucket}/data/b.txt") as file:
        assert (file.name, file.read_bytes()) == ("b.txt", b"b")
    assert not file.exists()
    kept = kept_copy(f"{bucket}/data/b.txt")
    assert kept.read_bytes() == b"b"
    assert kept_copy(f"{bucket}/data/b.txt") is kept


@pytest.mark.parametrize("name", ["../up.txt", "a/../../up.txt", "/up.txt", "a//b", "."])
def test_a_name_that_leads_out_of_a_folder_is_none_to_copy(name):
    assert is_plain("cat/1 (copy)..png")
    assert not is_plain(name)


def test_nothing_there_and_no_answer_are_told_apart(bucket, gate):
    nothing = pytest.raises(ConfigError, match=f"there is nothing at {bucket}/data")
    with nothing, local_copy(f"{bucket}/data"):
        pass
    gate.shut()
    with pytest.raises(StoreError), local_copy(f"{bucket}/data"):
        pass


def test_images_in_a_bucket_are_those_of_a_folder(bucket, tmp_path):
    here = load_dataset(write_photos(tmp_path / "photos", side=8))
    put_folder(bucket, tmp_path / "photos")
    there = load_dataset(f"folder:{bucket}/photos")
    assert there.fingerprint == here.fingerprint
    with pytest.raises(ConfigError, match="there is nothing at"):
        load_dataset(f"parquet:{bucket}/none")


def test_a_search_and_its_teacher_may_be_in_a_bucket(bucket, tiny_teacher):
    put(bucket, {"tiny.safetensors": tiny_teacher.read_bytes()})
    common = {"candidates": 3, "top_k": 0, "executor": "inline", "proxies": "gtn"}
    ranked = [
        [r.key for r in search(SearchConfig(teacher=teacher, out=out, **common)).ranking]
        for teacher, out in (
            (f"{bucket}/tiny.safetensors", f"{bucket}/run"),
            (str(tiny_teacher), tiny_teacher.parent / "run"),
        )
    ]
    assert ranked[0] == ranked[1]
    with pytest.raises(ConfigError, match="there is nothing at"):
        search(SearchConfig(teacher=f"{bucket}/none.safetensors", out=f"{bucket}/two", **common))


@pytest.mark.slow
def test_a_teacher_is_made_in_a_bucket(bucket):
    small = {"inner_steps": 3, "batch_size": 20, "meta_iterations": 1, "warm_start_steps": 2}
    sizes = {"hidden": 16, "channels": 8, "noise_dim": 8}
    config = PretrainConfig(out=f"{bucket}/mine.safetensors", **small, **sizes)
    pretraining = Pretraining(config)
    assert pretraining.checkpoint.place == f"{bucket}/mine.checkpoint"
    for _ in pretraining.run():
        pass
    place, _ = pretraining.finish(learners=1)
    assert str(place) == config.out
    assert read_header(kept_copy(str(place))).inner_steps == 3
    with pytest.raises(ConfigError, match="there is no bucket"):
        Pretraining(config.model_copy(update={"out": "s3://none/mine.safetensors"}))
