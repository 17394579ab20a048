"""What the guides say works: their commands are run, small, on a person's folder of images.

Blocks of ``bash`` and ``python`` are run; those of ``sh`` need a cluster, a network or
a browser, and are only checked to name options that exist.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from .photos import write_pictures

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "guides"
GUIDES = sorted(FOLDER.glob("*.md"))
BLOCKS = re.compile(r"^```(bash|sh|python)\n(.*?)^```", re.DOTALL | re.MULTILINE)

SMALL = {
    "pretrain": "--meta-iterations 2 --warm-start-steps 5 --inner-steps 3 --batch-size 8",
    "search": "--candidates 6 --top-k 2 --final-epochs 1",
    "validate-proxy": "--executor inline --architectures 10 --final-epochs 1",
}
"""What makes a command quick; the last of two equal options counts."""


def blocks(guide: Path) -> list[tuple[str, str]]:
    return BLOCKS.findall(guide.read_text())


def commands(guide: Path) -> list[str]:
    lines = [line for kind, text in blocks(guide) if kind != "python" for line in text.splitlines()]
    return [line for line in lines if line.startswith("gtn-nas ")]


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    python_path = f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": python_path, "COLUMNS": "200"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def small(line: str) -> str:
    """Return a command that takes seconds."""
    words = line.split()
    extra = SMALL.get(words[1], "")
    if words[1] == "search" and "--workers" not in words:
        extra += " --executor inline"
    return f"{line} {extra}"


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_its_commands_have_options_that_exist(guide):
    lines = commands(guide)
    assert lines
    for line in lines:
        words = shlex.split(line, comments=True)
        name = words[1:3] if words[1] == "job" else words[1:2]
        own = words[: words.index("--")] if "--" in words else words
        shown = run(["gtn-nas", *name, "--help"], ROOT).stdout
        options = [word for word in own if word.startswith("--")]
        assert all(re.search(rf"{option}\b", shown) for option in options), line


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_its_links_lead_somewhere(guide):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", guide.read_text())
    assert all((FOLDER / link).exists() for link in links)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_its_commands_work_in_their_order(guide, tmp_path):
    write_pictures(tmp_path / "photos")
    for kind, text in blocks(guide):
        if kind == "python":
            run_python(text, tmp_path)
        elif kind == "bash":
            for line in text.splitlines():
                done = run(["bash", "-e", "-c", small(line)], tmp_path)
                assert done.returncode == 0, f"{line}\n{done.stderr}"


def run_python(text: str, folder: Path) -> None:
    """Run a program, or keep a module that commands name."""
    modules = {"(SearchSpace)": "my_spaces.py", "(Strategy)": "my_strategies.py"}
    name = next((file for base, file in modules.items() if base in text), "program.py")
    module = folder / name
    module.write_text(text)
    done = run([sys.executable, str(module)], folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_folder_of_images_becomes_an_exported_network_and_a_report(tmp_path):
    """The first block of ``your-images.md`` as it stands, not made small: minutes, not hours."""
    write_pictures(tmp_path / "photos")
    first = next(text for kind, text in blocks(FOLDER / "your-images.md") if kind == "bash")
    for line in [*first.splitlines(), "gtn-nas report runs/photos"]:
        done = run(["bash", "-e", "-c", line], tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    made = {path.name for path in (tmp_path / "my-network").iterdir()}
    assert {"model.py", "model.onnx", "weights.safetensors", "README.md"} <= made
