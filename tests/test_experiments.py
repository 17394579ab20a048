"""The experiments: each starts, its table has its name, and what is kept for them can be read."""

import ast
import importlib
import importlib.util
import random
import re
import sys
from pathlib import Path

import pytest

from experiments.shared.intervals import mean_with_interval
from experiments.shared.tables import TABLES, Table
from gtn_nas.results.query import load_run
from gtn_nas.spaces import get_space
from gtn_nas.teacher.artifact import load_teacher
from gtn_nas.teacher.inner_loop import teach

ROOT = Path(__file__).parents[1]
HOME = ROOT / "experiments"
KINDS = ("bench", "studies", "tools")
SCRIPTS = sorted(
    path for kind in KINDS for path in (HOME / kind).glob("*.py") if path.stem != "__init__"
)
TEXTS = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *HOME.glob("**/*.py")])

of_each = pytest.mark.parametrize(
    "script", SCRIPTS, ids=[f"{script.parent.name}.{script.stem}" for script in SCRIPTS]
)


def named(script: Path) -> str:
    return f"bench_{script.stem}" if script.parent.name == "bench" else script.stem


def tables_of(script: Path) -> set[str]:
    """Return the names in ``Table("...")``."""
    calls = (node for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.Call))
    return {
        call.args[0].value
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "Table"
    }


@of_each
def test_a_script_says_what_it_is_for(script, monkeypatch, capsys):
    module = importlib.import_module(f"experiments.{script.parent.name}.{script.stem}")
    monkeypatch.setattr(sys, "argv", [script.name, "--help"])
    with pytest.raises(SystemExit) as ended:
        module.main()
    assert ended.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert module.__doc__.splitlines()[0] in said


@of_each
def test_a_script_imports_what_is_shared_but_no_other_script(script):
    nodes = ast.walk(ast.parse(script.read_text()))
    modules = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    own = {module for module in modules if module.startswith("experiments")}
    assert all(module.startswith("experiments.shared.") for module in own)


def test_every_study_and_bench_fills_the_table_of_its_name():
    measuring = [script for script in SCRIPTS if script.parent.name != "tools"]
    assert [s.stem for s in measuring if named(s) not in tables_of(s)] == []


def test_every_table_has_the_name_of_a_script():
    scripts = {named(script) for script in SCRIPTS}
    assert {path.stem for path in TABLES.iterdir()} <= scripts
    assert {name for script in SCRIPTS for name in tables_of(script)} <= scripts


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: str(text.relative_to(ROOT)))
def test_modules_and_files_that_are_named_exist(text):
    words = text.read_text()
    modules = set(re.findall(r"\bexperiments(?:\.[a-z_0-9]+)+", words))
    files = set(re.findall(r"\bexperiments/[\w/.-]*\w", words))
    assert [name for name in modules if importlib.util.find_spec(name) is None] == []
    assert [name for name in files if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("path", sorted((HOME / "teachers").iterdir()), ids=lambda path: path.stem)
def test_a_kept_teacher_names_learners_that_are_there(path):
    teacher, header = load_teacher(path)
    space = get_space(header.space)
    network = space.build(space.sample(random.Random(0)), header.image_shape, len(header.classes))
    assert teach(network, teacher.lesson()).isfinite().all()


def test_the_kept_labels_are_a_run_that_can_be_read():
    candidates = load_run(HOME / "nas_bench_201_labels").candidates()
    assert (candidates["status"] == "ok").sum() > 200
    assert candidates["real_loss"].notna().sum() > 200


def test_a_table_is_on_the_disk_after_every_row(tmp_path):
    table = Table("seen", tmp_path)
    table.add({"arm": "a", "seed": 0, "accuracy": 0.5})
    table.add({"arm": "b", "seed": 0, "accuracy": 0.25})
    again = Table("seen", tmp_path)
    assert again.rows == table.rows
    assert again.has(arm="a", seed=0)
    assert not again.has(arm="a", seed=1)


def test_what_is_measured_again_takes_the_place_of_what_was_there(tmp_path):
    table = Table("seen", tmp_path)
    for seed in range(3):
        table.add({"arm": "old", "seed": seed})
    table.add({"arm": "other", "seed": 0})
    table.replace([{"arm": "old", "seed": 7}], arm="old")
    assert Table("seen", tmp_path).rows == [
        {"arm": "other", "seed": "0"},
        {"arm": "old", "seed": "7"},
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["seen.csv"]


def test_the_interval_of_a_mean_encloses_it_and_narrows_with_more_values():
    few, many = mean_with_interval([0.0, 1.0] * 4), mean_with_interval([0.0, 1.0] * 100)
    assert few.low < few.value == many.value == 0.5 < few.high
    assert many.high - many.low < few.high - few.low
