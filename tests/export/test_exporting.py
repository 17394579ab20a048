"""Exports of real runs, used as a person does: by a process that knows nothing of this package."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from gtn_nas import SearchConfig, load_run, search
from gtn_nas.data import load_dataset
from gtn_nas.errors import ConfigError, ExportError, RunFolderError, UnknownNameError
from gtn_nas.export.exporting import EXPORTED, FORMATS, export
from gtn_nas.export.trained import load_trained

from ..noted import EARLIER, note
from ..photos import write_photos
from ..user_spaces import write_space

BLOCKS = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def alone(folder: Path, program: str) -> str:
    """Run a program in a folder, with this package out of reach."""
    hidden = f"import sys\nsys.modules['gtn_nas'] = None\nsys.path.insert(0, '')\n{program}"
    done = subprocess.run(
        [sys.executable, "-I", "-c", hidden], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def finals_of(run: Path) -> list[dict]:
    return load_run(run).best_finals()


@pytest.fixture(scope="module")
def exported(digits_run, tmp_path_factory):
    return export(digits_run, tmp_path_factory.mktemp("exports") / "winner")


def test_the_winner_is_exported_in_every_format(digits_run, exported):
    folder = exported.folder
    assert {path.name for path in folder.iterdir()} == EXPORTED - {"search_space", "__pycache__"}
    assert set(exported.differences) == set(FORMATS)
    assert exported.differences["pytorch"] <= 1e-6
    assert exported.differences["onnx"] <= 1e-4
    best = max(finals_of(digits_run), key=lambda final: final["validation_accuracy"])
    facts = json.loads((folder / "architecture.json").read_text())
    assert facts["key"] == best["key"]
    assert facts["test_accuracy"] == best["test_accuracy"]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_it_is_as_good_on_test_images_as_the_run_says(digits_run, exported):
    """Whoever reads preprocess.py and the numbers in the README gets the run's own accuracy."""
    digits = load_dataset("digits").test
    np.savez(exported.folder.parent / "test.npz", images=digits.images[:, 0], labels=digits.labels)
    counted = alone(
        exported.folder,
        """
import numpy as np, onnxruntime, torch
from PIL import Image
from safetensors.torch import load_file
from model import Network
from preprocess import preprocess
data = np.load("../test.npz")
images = np.concatenate([preprocess(Image.fromarray(pixels)) for pixels in data["images"]])
network = Network().eval()
network.load_state_dict(load_file("weights.safetensors"))
session = onnxruntime.InferenceSession("model.onnx")
(logits,) = session.run(["logits"], {"images": images})
with torch.inference_mode():
    for answer in (network(torch.from_numpy(images)).numpy(), logits):
        print((answer.argmax(1) == data["labels"]).mean())
""",
    )
    (wanted,) = [f["test_accuracy"] for f in finals_of(digits_run)[:1]]
    assert [float(line) for line in counted.split()] == pytest.approx([wanted] * 2, abs=1e-6)


def test_the_readmes_programs_work_when_they_are_pasted(exported, tmp_path):
    folder = shutil.copytree(exported.folder, tmp_path / "copy")
    pixels = np.random.default_rng(0).integers(0, 256, (31, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "photo.jpg")
    blocks = BLOCKS.findall((folder / "README.md").read_text())
    assert len(blocks) == 2
    answers = [alone(folder, block).split() for block in blocks]
    assert answers[0][0] == answers[1][0]
    assert 0 < float(answers[0][1]) <= 1


def test_rank_and_key_choose_among_the_finals_by_validation(digits_run, tmp_path):
    first, second = (final["key"] for final in finals_of(digits_run))
    assert load_trained(digits_run, 1, None, None).architecture.key == first
    assert load_trained(digits_run, 2, None, None).architecture.key == second
    by_key = export(digits_run, tmp_path / "b", key=second, formats=("pytorch",))
    assert by_key.trained.rank == 2
    assert not (by_key.folder / "model.onnx").exists()
    assert "onnx" not in (by_key.folder / "README.md").read_text()


@pytest.fixture(scope="module")
def own_run(tmp_path_factory):
    """A run of a user's own space, and of their own images."""
    folder = tmp_path_factory.mktemp("own")
    before = os.getcwd(), list(sys.path)
    os.chdir(folder)
    spec = write_space(folder, "exported_space", "relu")
    module = folder / "exported_space.py"
    (folder / "exported_helper.py").write_text("")
    module.write_text("import exported_helper\n" + module.read_text())
    data = write_photos(folder / "photos", side=12, count=10)
    sys.path.insert(0, str(folder))
    search(
        SearchConfig(
            dataset=data,
            space=spec,
            candidates=3,
            rank_by="params",
            top_k=1,
            proxies=(),
            final_epochs=1,
            executor="inline",
            out=str(folder / "run"),
        )
    )
    yield folder / "run", spec
    os.chdir(before[0])
    sys.path[:] = before[1]


def test_a_space_of_ones_own_is_named_again_and_its_module_copied(own_run, tmp_path):
    run, spec = own_run
    with pytest.raises(ConfigError, match=f"--space {spec}"):
        export(run, tmp_path / "a")
    with pytest.raises(ConfigError, match="is 'conv_chain'"):
        export(run, tmp_path / "a", space="conv_chain")
    folder = export(run, tmp_path / "a", space=spec).folder
    copy = folder / "search_space" / "exported_space.py"
    assert copy.read_text() == (run.parent / "exported_space.py").read_text()
    said = (folder / "README.md").read_text()
    assert "under its author's licence" in said
    assert "It imports exported_helper of its author, **which is not copied**" in said
    assert "gtn_nas" not in (folder / "model.py").read_text()


def test_files_become_what_they_were_in_training(own_run, tmp_path):
    run, spec = own_run
    folder = export(run, tmp_path / "a", space=spec, formats=("pytorch",)).folder
    dataset = load_dataset(f"folder:{run.parent / 'photos'}")
    program = f"""
import pathlib, numpy as np
from PIL import Image
from preprocess import preprocess
files = sorted(pathlib.Path({str(run.parent / "photos")!r}).rglob("*.png"))
np.save("all.npy", np.concatenate([preprocess(Image.open(file)) for file in files]))
"""
    alone(folder, program)
    ours = {tuple(image.flatten().tolist()) for image in dataset.normalise(dataset.train.images)}
    theirs = {tuple(image.flatten().tolist()) for image in np.load(folder / "all.npy")}
    assert ours
    assert ours <= theirs


def test_a_changed_source_is_warned_of(own_run, tmp_path, caplog):
    run, spec = own_run
    module = run.parent / "exported_space.py"
    before = module.read_text()
    module.write_text(f"{before}\nCHANGED = True\n")
    try:
        export(run, tmp_path / "a", space=spec, formats=("pytorch",))
    finally:
        module.write_text(before)
    assert "has changed since this run was started (exported_space)" in caplog.text


def test_what_an_earlier_version_noted_of_a_source_is_no_change(own_run, tmp_path, caplog):
    run, spec = own_run
    shutil.copytree(run, tmp_path / "run")
    note(tmp_path / "run", EARLIER)
    export(tmp_path / "run", tmp_path / "a", space=spec, formats=("pytorch",))
    assert caplog.text == ""


def test_what_does_not_answer_alike_is_never_seen(own_run, tmp_path):
    """A space whose layers look plain, but do something else when they are called."""
    run, _ = own_run
    hooked = run.parent / "hooked.py"
    hooked.write_text(
        "from exported_space import Linear\n"
        "class Hooked(Linear):\n"
        "    def build(self, *arguments):\n"
        "        network = super().build(*arguments)\n"
        "        network[1].register_forward_hook(lambda layer, given, found: found + 1)\n"
        "        return network\n"
    )
    with pytest.raises(ExportError, match="the exported pytorch does not answer"):
        export(run, tmp_path / "a" / "b", space="hooked:Hooked")
    assert list((tmp_path / "a").iterdir()) == []


@pytest.mark.parametrize(
    ("formats", "said"),
    [(("pytorch", "onnx"), "forward cannot be written as plain PyTorch"), (("onnx",), None)],
)
def test_a_format_that_cannot_be_written_can_be_left_out(own_run, tmp_path, formats, said):
    run, _ = own_run
    (run.parent / "odd.py").write_text(
        "from torch import nn\n"
        "from exported_space import Linear\n"
        "def helper(x):\n"
        "    assert x.shape[1] > 0\n"
        "    return x\n"
        "class Odd(nn.Module):\n"
        "    def __init__(self, network):\n"
        "        super().__init__()\n"
        "        self.network = network\n"
        "    def state_dict(self, *a, **k): return self.network.state_dict(*a, **k)\n"
        "    def load_state_dict(self, *a, **k): return self.network.load_state_dict(*a, **k)\n"
        "    def forward(self, x): return self.network(helper(x))\n"
        "class OddSpace(Linear):\n"
        "    def build(self, *arguments): return Odd(super().build(*arguments))\n"
    )
    if said is None:
        assert set(export(run, tmp_path / "a", space="odd:OddSpace", formats=formats).differences)
    else:
        with pytest.raises(ExportError, match=said):
            export(run, tmp_path / "a", space="odd:OddSpace", formats=formats)
        assert not any(tmp_path.iterdir())


def test_a_folder_with_anything_in_it_is_refused(digits_run, tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(RunFolderError, match="not empty"):
        export(digits_run, tmp_path)
    with pytest.raises(RunFolderError, match="no earlier export"):
        export(digits_run, tmp_path, replace=True)
    with pytest.raises(RunFolderError, match="not a folder"):
        export(digits_run, tmp_path / "mine.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_earlier_export_is_replaced_when_that_is_asked_for(digits_run, tmp_path):
    folder = tmp_path / "a"
    export(digits_run, folder, rank=2, formats=("pytorch",))
    with pytest.raises(RunFolderError, match="--replace"):
        export(digits_run, folder)
    before = json.loads((folder / "architecture.json").read_text())["rank"]
    export(digits_run, folder, formats=("pytorch",), replace=True)
    after = json.loads((folder / "architecture.json").read_text())["rank"]
    assert (before, after) == (2, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_an_empty_folder_is_filled(digits_run, tmp_path):
    (tmp_path / "empty").mkdir()
    export(digits_run, tmp_path / "empty", formats=("pytorch",))
    assert (tmp_path / "empty" / "model.py").exists()


@pytest.mark.parametrize("rank", [0, -1, 3])
def test_a_rank_that_does_not_exist(digits_run, tmp_path, rank):
    with pytest.raises(ConfigError, match=f"2 fully trained networks, so there is no rank {rank}"):
        export(digits_run, tmp_path / "a", rank=rank)


def test_a_key_that_was_not_trained(digits_run, tmp_path):
    with pytest.raises(UnknownNameError, match="unknown key of a fully trained network"):
        export(digits_run, tmp_path / "a", key="0123456789abcdef")


def test_a_run_without_finals(digits_run, tmp_path):
    run = shutil.copytree(digits_run, tmp_path / "run")
    shutil.rmtree(run / "finals")
    with pytest.raises(RunFolderError, match="no fully trained network"):
        export(run, tmp_path / "a")


def damage(weights: Path) -> None:
    weights.write_bytes(weights.read_bytes()[:1000])


def empty(weights: Path) -> None:
    weights.write_bytes(b"")


def lose_header(weights: Path) -> None:
    save_file(load_file(weights), weights)


def lose_a_tensor(weights: Path) -> None:
    from safetensors import safe_open

    with safe_open(weights, "pt") as file:
        header = file.metadata()
    tensors = load_file(weights)
    tensors.popitem()
    save_file(tensors, weights, header)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (Path.unlink, "are missing"),
        (damage, "are damaged"),
        (empty, "are damaged"),
        (lose_header, "are damaged .*image_shape"),
        (lose_a_tensor, "do not fit what the search space 'conv_chain' builds"),
    ],
)
def test_weights_that_are_not_what_they_should_be(digits_run, tmp_path, change, said):
    run = shutil.copytree(digits_run, tmp_path / "run")
    change(run / "weights" / f"{finals_of(run)[0]['key']}.safetensors")
    with pytest.raises(RunFolderError, match=said):
        export(run, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_weights_that_answer_nothing_are_not_exported(digits_run, tmp_path):
    from safetensors import safe_open

    run = shutil.copytree(digits_run, tmp_path / "run")
    weights = run / "weights" / f"{finals_of(run)[0]['key']}.safetensors"
    with safe_open(weights, "pt") as file:
        header = file.metadata()
    tensors = {
        n: torch.full_like(t, float("nan")) if t.is_floating_point() else t
        for n, t in load_file(weights).items()
    }
    save_file(tensors, weights, header)
    with pytest.raises(ExportError, match="differ by nan"):
        export(run, tmp_path / "a", formats=("pytorch",))
    assert not (tmp_path / "a").exists()


def test_hostile_names_stay_names(digits_run, tmp_path):
    from safetensors import safe_open

    run = shutil.copytree(digits_run, tmp_path / "run")
    weights = run / "weights" / f"{finals_of(run)[0]['key']}.safetensors"
    with safe_open(weights, "pt") as file:
        header = file.metadata()
    names = ['"""', "```", "<script>", "${HOME}", "{{ 7*7 }}", "|", "\u202e", "a\\", "'", "#"]
    header |= {"classes": "\n".join(names), "dataset": "folder:`rm`|<b>\n# no heading"}
    save_file(load_file(weights), weights, header)
    folder = export(run, tmp_path / "a", formats=("pytorch",)).folder
    assert json.loads((folder / "architecture.json").read_text())["classes"] == names
    said = (folder / "README.md").read_text()
    assert "\n# no heading" not in said
    (listed,) = re.findall(r"^```json\n(.*?)^```", said, re.DOTALL | re.MULTILINE)
    assert json.loads(listed) == names


@pytest.mark.slow
def test_a_run_in_a_bucket(tmp_path, bucket):
    out = f"{bucket}/runs/a"
    search(
        SearchConfig(candidates=1, top_k=1, proxies=(), final_epochs=1, executor="inline", out=out)
    )
    exported = export(out, tmp_path / "a", formats=("pytorch",))
    assert exported.trained.run == "a"
    assert (tmp_path / "a" / "weights.safetensors").exists()
