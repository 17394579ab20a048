"""What the README says works when it is pasted."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(bash|python)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)

pytestmark = pytest.mark.slow


def block(containing: str) -> str:
    (found,) = [text for _, text in BLOCKS if containing in text]
    return found


def run(command: list[str], folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_commands_for_a_search_of_ones_own_and_for_its_results(tmp_path):
    output = run(["bash", "-e", "-c", block("gtn-nas query runs/mine --top 10")], tmp_path)
    assert output.count("candidates by jacob_cov*params") == 2
    output = run(["bash", "-e", "-c", block("gtn-nas report runs/mine")], tmp_path)
    assert "asked for 80 candidates" in output
    assert (tmp_path / "runs" / "mine" / "report.html").stat().st_size > 10_000
    assert (tmp_path / "candidates.parquet").read_bytes().startswith(b"PAR1")
    assert (tmp_path / "my-network" / "model.py").is_file()
    assert "proxy_accuracy" in run([sys.executable, "-c", block("load_runs")], tmp_path)


def test_the_commands_that_weigh_latency(tmp_path):
    commands = re.findall(r"^gtn-nas .* runs/fast.*$", README, re.MULTILINE)
    small = ["--executor", "inline", "--candidates", "5", "--top-k", "1", "--final-epochs", "2"]
    assert "Pareto front" in run([*commands[0].split(), *small], tmp_path)
    assert "latency_ms" in run(commands[1].split(), tmp_path)


def test_the_python_example(tmp_path):
    output = run([sys.executable, "-c", block("from gtn_nas import SearchConfig")], tmp_path)
    assert ".safetensors" in output


def test_the_search_space_of_ones_own(tmp_path):
    (tmp_path / "my_spaces.py").write_text(block("class Widths(SearchSpace)"))
    (command,) = re.findall(r"`(gtn-nas search --space my_spaces:Widths)`", README)
    options = ["--executor", "inline", "--candidates", "5", "--top-k", "1", "--final-epochs", "2"]
    output = run([*command.split(), *options], tmp_path)
    assert "candidates by jacob_cov*params" in output


def test_the_commands_for_images_of_ones_own(tmp_path):
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for shade, name in enumerate(("cat", "dog")):
        for index in range(30):
            path = tmp_path / "photos" / name / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(100 * shade, 100 * shade + 100, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path)
    pretrain, search = block("gtn-nas pretrain").strip().splitlines()
    small = "--meta-iterations 2 --warm-start-steps 5 --inner-steps 3 --batch-size 8"
    run([*pretrain.split(), *small.split()], tmp_path)
    options = "--executor inline --candidates 3 --top-k 1 --final-epochs 1 --out run"
    assert "run folder: run" in run([*search.split(), *options.split()], tmp_path)
