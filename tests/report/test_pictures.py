import base64
import io
import shutil
import sys

import pytest
import torch
from PIL import Image

from gtn_nas import SearchConfig, search
from gtn_nas.report.lesson import lesson_of
from gtn_nas.report.pictures import DRAWN, Pictures
from gtn_nas.results.store import RunStore
from gtn_nas.teacher.artifact import load_teacher, shipped_teachers

from ..results.samples import record, write_run
from ..user_spaces import write_space
from .runs import snapshot_of


def test_the_winner_is_drawn_first(finished):
    snapshot = snapshot_of(finished)
    drawn = Pictures().architectures(snapshot)["drawn"]
    assert len(drawn) == DRAWN
    assert drawn[0]["key"] == snapshot.finals[0]["key"]
    for picture in drawn:
        assert sum(box["params"] for box in picture["boxes"]) == picture["params"]


def test_without_candidates_a_sentence_says_so(tmp_path):
    with RunStore.create(tmp_path / "run", "seed: 0\n"):
        found = Pictures().architectures(snapshot_of(tmp_path / "run"))
    assert "No candidate" in found["missing"]


@pytest.fixture
def own_space(tmp_path, monkeypatch):
    """A run in a search space of the user's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    space = write_space(tmp_path, "drawn_space", "relu", "tanh")
    out = tmp_path / "run"
    search(SearchConfig(space=space, candidates=3, top_k=0, executor="inline", out=out))
    return out, space


def test_a_space_of_ones_own_is_imported_only_when_it_is_named_again(own_space):
    folder, space = own_space
    snapshot = snapshot_of(folder)
    sys.modules.pop("drawn_space")
    refused = Pictures().architectures(snapshot)["missing"]
    assert f"--space {space}" in refused
    assert "drawn_space" not in sys.modules
    assert "--space" in Pictures("other:Space").architectures(snapshot)["missing"]
    drawn = Pictures(space).architectures(snapshot)["drawn"]
    assert drawn[0]["boxes"][-1]["lines"][-1].startswith("Linear")


def test_choices_that_are_none_of_the_space_are_not_built(tmp_path):
    folder = write_run(tmp_path / "run", [record(0)])  # of a space "cells"
    with RunStore.open(folder) as store:
        about = {"proxy_image_shape": [1, 8, 8], "classes": ["a", "b"]}
        store.append_event("start", details=about)
    (picture,) = Pictures().architectures(snapshot_of(folder))["drawn"]
    assert "cannot be drawn" in picture["missing"]


@pytest.mark.parametrize("shape", [None, [1, 8], [1, 8, 10**6], ["a", 1, 1], [0, 8, 8]])
def test_a_run_that_does_not_know_its_images_draws_nothing(tmp_path, shape):
    folder = write_run(tmp_path / "run", [record(0)])
    with RunStore.open(folder) as store:
        store.append_event("start", details={"proxy_image_shape": shape, "classes": ["a", "b"]})
    assert "size its images" in Pictures().architectures(snapshot_of(folder))["missing"]


def test_the_lesson_shows_classes_along_the_steps(finished):
    lesson = Pictures().lesson(snapshot_of(finished))
    path = shipped_teachers()["digits-conv_chain"]
    assert lesson["name"] == path.stem
    assert (lesson["steps"][0], lesson["steps"][-1]) == (1, 32)
    assert [row["name"] for row in lesson["classes"]] == [str(digit) for digit in range(10)]
    teacher, header = load_teacher(path)
    with torch.no_grad():
        shown = teacher.lesson()
    label = shown.labels[0].argmax(-1).tolist().index(3)
    pixels = shown.images[0, label, 0] * header.std[0] + header.mean[0]
    expected = (pixels.clamp(0, 1) * 255).round().byte()
    encoded = lesson["classes"][3]["images"][0].removeprefix("data:image/png;base64,")
    image = Image.open(io.BytesIO(base64.b64decode(encoded)))
    assert list(image.tobytes()) == expected.flatten().tolist()


def test_colour_is_kept():
    lesson = lesson_of(shipped_teachers()["cifar10-nas_bench_201"])
    encoded = lesson["classes"][0]["images"][0].removeprefix("data:image/png;base64,")
    assert Image.open(io.BytesIO(base64.b64decode(encoded))).mode == "RGB"


def test_a_teacher_is_known_by_its_weights(finished, tmp_path):
    snapshot = snapshot_of(finished)
    other = shipped_teachers()["mnist-conv_chain"]
    assert "not the teacher" in Pictures(teacher=str(other)).lesson(snapshot)["missing"]
    moved = tmp_path / "moved.safetensors"
    shutil.copy(shipped_teachers()["digits-conv_chain"], moved)
    assert Pictures(teacher=str(moved)).lesson(snapshot)["name"] == "moved"
    assert "missing" in Pictures(teacher=str(tmp_path / "none.safetensors")).lesson(snapshot)


def test_a_teacher_that_is_gone_is_asked_for(tmp_path):
    folder = tmp_path / "run"
    with RunStore.create(folder, f"teacher: {tmp_path}/gone.safetensors\n") as store:
        store.append_event("start", details={"teacher": "0123456789abcdef"})
    found = Pictures().lesson(snapshot_of(folder))
    assert "gone.safetensors" in found["missing"]
    assert "--teacher" in found["missing"]


def test_a_run_without_a_teacher_says_so(tmp_path):
    folder = write_run(tmp_path / "run", [record(0)])
    assert "needed a teacher" in Pictures().lesson(snapshot_of(folder))["missing"]
