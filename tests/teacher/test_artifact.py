import json
import subprocess
import sys
from typing import get_args

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from gtn_nas.config.pretrain import Curriculum
from gtn_nas.errors import EnvironmentFailure, TeacherError, UnknownNameError
from gtn_nas.teacher import artifact
from gtn_nas.teacher.artifact import (
    FORMAT,
    load_teacher,
    read_header,
    resolve_teacher,
    round_to_16_bits,
    save_teacher,
    shipped_teachers,
)

from .samples import are_equal, header_of, make_teacher, weights


@pytest.fixture
def saved(tmp_path):
    teacher = make_teacher()
    save_teacher(teacher, header_of(teacher), tmp_path / "teachers" / "t.safetensors")
    return tmp_path / "teachers" / "t.safetensors"


def tensors_of(path):
    """A copy, since the file may change."""
    return {name: tensor.clone() for name, tensor in load_file(path).items()}


def rewrite(path, weights=None, format=FORMAT, **header):
    """Change an artefact as only someone else would."""
    kept = json.loads(read_header(path).model_dump_json()) | header
    save_file(
        tensors_of(path) if weights is None else weights,
        path,
        metadata={"format": format, "header": json.dumps(kept)},
    )


def message_of(read, path) -> str:
    with pytest.raises(TeacherError) as caught:
        read(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("soft", [True, False], ids=["soft labels", "hard labels"])
def test_a_teacher_survives_its_file(tmp_path, soft):
    teacher, path = make_teacher(soft_labels=soft), tmp_path / "t.safetensors"
    header = header_of(teacher, validation_accuracy=0.87, ranking=None)
    save_teacher(teacher, header, path)
    again, read = load_teacher(path)
    assert read == read_header(path) == header
    assert again.config == teacher.config
    round_to_16_bits(teacher)
    assert are_equal(weights(again), weights(teacher))
    assert torch.equal(again.lesson().images, teacher.lesson().images)
    assert torch.equal(again.lesson().labels, teacher.lesson().labels)


@pytest.mark.parametrize("curriculum", get_args(Curriculum))
@pytest.mark.parametrize("soft", [True, False], ids=["soft labels", "hard labels"])
def test_every_curriculum_survives_its_file(tmp_path, curriculum, soft):
    teacher, path = (
        make_teacher(curriculum=curriculum, soft_labels=soft),
        tmp_path / "t.safetensors",
    )
    save_teacher(teacher, header_of(teacher), path)
    again, read = load_teacher(path)
    assert read.curriculum == again.config.curriculum == curriculum
    round_to_16_bits(teacher)
    assert are_equal(weights(again), weights(teacher))
    lesson, saved = again.lesson(), teacher.lesson()
    assert torch.equal(lesson.images, saved.images)
    assert torch.equal(lesson.labels, saved.labels)


def test_a_teacher_from_before_there_were_curricula_is_full(saved):
    header = json.loads(read_header(saved).model_dump_json())
    del header["curriculum"]
    weights_before = tensors_of(saved)
    save_file(weights_before, saved, metadata={"format": FORMAT, "header": json.dumps(header)})
    teacher, read = load_teacher(saved)
    assert read.curriculum == teacher.config.curriculum == "full"
    assert are_equal(weights(teacher), {n: t.float() for n, t in weights_before.items()})


@pytest.mark.parametrize("name", shipped_teachers())
def test_a_shipped_teacher_is_full(name):
    teacher, header = load_teacher(resolve_teacher(name))
    assert header.curriculum == teacher.config.curriculum == "full"
    assert teacher.lesson().images.shape[:2] == (header.inner_steps, header.batch_size)


def test_weights_take_16_bits_and_are_those_that_were_measured(tmp_path):
    teacher, path = make_teacher(), tmp_path / "t.safetensors"
    exact = weights(teacher)
    round_to_16_bits(teacher)
    rounded = weights(teacher)
    assert not are_equal(rounded, exact)
    torch.testing.assert_close(rounded, exact, rtol=1e-3, atol=1e-6)
    save_teacher(teacher, header_of(teacher), path)
    assert {tensor.dtype for tensor in tensors_of(path).values()} == {torch.float16}
    assert are_equal(weights(load_teacher(path)[0]), rounded)


def test_a_header_is_safetensors_metadata(saved):
    with safe_open(saved, framework="numpy") as file:
        assert file.metadata()["format"] == FORMAT
        assert json.loads(file.metadata()["header"])["dataset"] == "digits"


READ = """
import sys
from pathlib import Path
from gtn_nas.teacher.artifact import read_header
print(read_header(Path(sys.argv[1])).dataset, sorted({"torch", "ray"} & set(sys.modules)))
"""


def test_a_header_is_read_without_torch(saved):
    command = [sys.executable, "-c", READ, str(saved)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "digits []\n"


def break_file(path, how):
    content = path.read_bytes()
    if how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_text("teacher: me\n" * 20)
    elif how == "truncated":
        path.write_bytes(content[:-1])
    elif how == "only a header":
        path.write_bytes(content[:200])
    elif how == "pickled":
        torch.save({"noise": torch.zeros(4)}, path)
    elif how == "a folder":
        path.unlink()
        path.mkdir()
    else:
        path.unlink()


@pytest.mark.parametrize("read", [read_header, load_teacher])
@pytest.mark.parametrize(
    "how", ["empty", "text", "truncated", "only a header", "pickled", "a folder", "absent"]
)
def test_what_is_no_safetensors_file_is_refused(saved, read, how):
    break_file(saved, how)
    assert "is not a readable safetensors file: " in message_of(read, saved)


@pytest.mark.parametrize("read", [read_header, load_teacher])
@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"format": "gtn-nas teacher 9"}])
def test_a_safetensors_file_of_someone_else_is_refused(saved, read, metadata):
    save_file(tensors_of(saved), saved, metadata=metadata)
    assert "but not a teacher of gtn-nas" in message_of(read, saved)


@pytest.mark.parametrize("header", ["", "{}", "[]", "no", None])
def test_a_damaged_header_is_refused(saved, header):
    metadata = {"format": FORMAT} | ({} if header is None else {"header": header})
    save_file(tensors_of(saved), saved, metadata=metadata)
    assert "its header is damaged or from another version" in message_of(load_teacher, saved)


@pytest.mark.parametrize("header", [{"dataset": None}, {"code": "import os"}, {"classes": 10}])
def test_a_header_of_other_fields_is_refused(saved, header):
    rewrite(saved, **header)
    assert "its header is damaged or from another version" in message_of(read_header, saved)


@pytest.mark.parametrize(
    "header",
    [
        {"inner_steps": 5},
        {"batch_size": 0},
        {"inner_steps": -1},
        {"classes": ["0", "1"]},
        {"classes": []},
        {"image_shape": [3, 8, 8]},
        {"image_shape": [1, 9, 8]},
        {"generator": {}},
        {"generator": {"hidden": 16, "depth": 3}},
        {"generator": {"inner_steps": 4}},
    ],
    ids=str,
)
def test_weights_of_other_sizes_than_the_header_says_are_refused(saved, header):
    rewrite(saved, **header)
    assert "weights do not fit the header" in message_of(load_teacher, saved)


def changed(tensors, how):
    if how == "missing":
        del tensors["noise"]
    elif how == "more":
        tensors["more"] = torch.zeros(1)
    else:  # labels follow from the sizes; those of a file could be any number
        tensors["labels"] = torch.full((4, 20), 77)
    return tensors


@pytest.mark.parametrize("how", ["missing", "more", "labels"])
def test_missing_and_foreign_weights_are_refused(saved, how):
    rewrite(saved, weights=changed(tensors_of(saved), how))
    assert "weights are missing or foreign" in message_of(load_teacher, saved)


# names


def test_a_name_is_a_path_or_a_shipped_teacher(saved, monkeypatch):
    monkeypatch.setattr(artifact, "SHIPPED", saved.parent)
    assert shipped_teachers() == {"t": saved}
    assert resolve_teacher("t") == resolve_teacher(str(saved)) == saved


@pytest.mark.parametrize("name", ["t.safetensors", "teachers/t", "/nowhere/t.safetensors"])
def test_a_path_to_nothing_is_refused(name):
    with pytest.raises(TeacherError, match=f"no teacher at {name}; make one with `gtn-nas pre"):
        resolve_teacher(name)


def test_an_unknown_name_is_told_with_the_nearest(saved, monkeypatch):
    monkeypatch.setattr(artifact, "SHIPPED", saved.parent)
    saved.rename(saved.with_stem("digits"))
    with pytest.raises(UnknownNameError, match=r"unknown teacher 'digit'; did you mean digits\?"):
        resolve_teacher("digit")


# whole or not at all


def test_a_new_artefact_takes_the_place_of_an_old_one(saved):
    teacher = make_teacher(seed=1)
    save_teacher(teacher, header_of(teacher), saved)
    round_to_16_bits(teacher)
    assert are_equal(weights(load_teacher(saved)[0]), weights(teacher))
    assert list(saved.parent.iterdir()) == [saved]


SMALL_DISK = """
import resource, sys
from pathlib import Path
from gtn_nas.errors import EnvironmentFailure
from gtn_nas.teacher.artifact import load_teacher, save_teacher
path = Path(sys.argv[1])
teacher, header = load_teacher(path)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    save_teacher(teacher, header, path)
except EnvironmentFailure as error:
    print(error)
"""


def test_a_full_disk_leaves_the_old_artefact_and_nothing_else(saved):
    content = saved.read_bytes()
    command = [sys.executable, "-c", SMALL_DISK, str(saved)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"cannot write {saved}: ")
    assert done.stdout.count("\n") == 1
    assert saved.read_bytes() == content
    assert list(saved.parent.iterdir()) == [saved]


def test_a_place_that_cannot_be_written_is_named(saved):
    teacher, inside = make_teacher(), saved / "t.safetensors"
    with pytest.raises(EnvironmentFailure, match=f"cannot write {inside}: "):
        save_teacher(teacher, header_of(teacher), inside)
    folder = saved.parent
    with pytest.raises(EnvironmentFailure, match=f"cannot write {folder}: "):
        save_teacher(teacher, header_of(teacher), folder)
    assert list(folder.parent.iterdir()) == [folder]
