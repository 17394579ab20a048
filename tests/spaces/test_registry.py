import subprocess
import sys
from pathlib import Path

import pytest

from gtn_nas.errors import ConfigError, UnknownNameError
from gtn_nas.spaces import SPACES, get_space
from gtn_nas.spaces.base import SearchSpace

OWN_SPACE = """
from gtn_nas.spaces.base import SearchSpace

class Widths(SearchSpace):
    name = "widths"
    choices = {"width": (8, 16)}

    def build(self, architecture, input_shape, num_classes, scale="proxy"):
        raise NotImplementedError

class NeedsArgument(Widths):
    def __init__(self, size):
        self.size = size

class Unfinished(SearchSpace):
    name = "unfinished"
    choices = {"width": (8, 16)}

class Nameless(SearchSpace):
    choices = {"width": (8, 16)}
    build = Widths.build

class Other:
    pass
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory, with the path and the modules put back afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def message_of(spec: str) -> str:
    with pytest.raises(ConfigError) as caught:
        get_space(spec)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", SPACES)
def test_a_registered_space_carries_its_name_and_one_line(name):
    assert get_space(name).name == name
    assert SPACES[name]
    assert "\n" not in SPACES[name]


def test_neither_the_registry_nor_sampling_imports_torch():
    code = (
        "import random, sys; from gtn_nas.spaces import SPACES, get_space; "
        "[get_space(n).sample(random.Random(0)) for n in SPACES]; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean nas_bench_201"):
        get_space("nasbench201")


def test_a_space_of_the_users_own_comes_from_the_current_directory(here):
    (here / "own_spaces.py").write_text(OWN_SPACE)
    space = get_space("own_spaces:Widths")
    assert isinstance(space, SearchSpace)
    assert space.architecture({"width": 8}).space == "widths"


def test_a_space_inside_a_package_may_import_its_neighbours(here):
    (here / "lab").mkdir()
    (here / "lab" / "sizes.py").write_text("WIDTHS = (1, 2, 3)")
    source = OWN_SPACE.replace("(8, 16)", "WIDTHS")
    (here / "lab" / "spaces.py").write_text(f"from lab.sizes import WIDTHS\n{source}")
    assert get_space("lab.spaces:Widths").choices == {"width": (1, 2, 3)}


def test_a_missing_module_is_named(here):
    assert "no module 'absent_module'" in message_of("absent_module:Space")


@pytest.mark.parametrize("spec", ["own_spaces.py:Widths", "./own_spaces:Widths", ":Widths"])
def test_a_path_in_place_of_a_module_is_explained(here, spec):
    (here / "own_spaces.py").write_text(OWN_SPACE)
    assert "write it as module:Class" in message_of(spec)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import absent_dependency", "No module named 'absent_dependency'"),
        ("raise RuntimeError('first line\\nsecond line')", "RuntimeError: first line second line"),
        ("def broken(:", "SyntaxError"),
        ("import sys; sys.exit('no licence')", "SystemExit: no licence"),
    ],
)
def test_a_module_that_fails_to_import_says_why(here, source, reason):
    (here / "broken_spaces.py").write_text(source)
    message = message_of("broken_spaces:Space")
    assert "importing 'broken_spaces' failed" in message
    assert reason in message


def test_a_missing_class_suggests_the_nearest(here):
    (here / "own_spaces.py").write_text(OWN_SPACE)
    assert "did you mean Widths?" in message_of("own_spaces:Width")


def test_a_module_without_classes_says_so(here):
    (here / "empty_spaces.py").touch()
    assert "'empty_spaces' defines no class" in message_of("empty_spaces:Widths")


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("Other", "not a subclass of SearchSpace"),
        ("NeedsArgument", "without arguments"),
        ("Unfinished", "build"),
        ("Nameless", "sets no 'name'"),
    ],
)
def test_an_incomplete_space_is_refused(here, name, complaint):
    (here / "own_spaces.py").write_text(OWN_SPACE)
    assert complaint in message_of(f"own_spaces:{name}")
