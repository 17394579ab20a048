"""What is edited changes the fingerprint, what is mended does not, and what changed has a name."""

import importlib
import sys
from collections.abc import Iterator, Mapping
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from gtn_nas.errors import ConfigError
from gtn_nas.spaces import SPACES, get_space
from gtn_nas.spaces.base import SearchSpace
from gtn_nas.spaces.fingerprint import (
    changed_modules,
    changes,
    code_fingerprint,
    space_fingerprint,
)

from ..edited_package import changed_by_edits

COMMON = {"gtn_nas.architecture", "gtn_nas.spaces.base", "gtn_nas.spaces.draws", "gtn_nas.trial"}
CELLS = {"gtn_nas.spaces.cells", "gtn_nas.spaces.cell_layers"}
MODULES = {
    "conv_chain": COMMON,
    "nao_cells": COMMON | CELLS,
    "nas_bench_201": COMMON | CELLS,
}
"""What the networks of each space are built from, beside the module of its name and its layers."""

SPACE = """
from gtn_nas.spaces.base import SearchSpace

class Widths(SearchSpace):
    name = "widths"
    choices = {"width": (8, 16)}

    def build(self, architecture, input_shape, num_classes, scale="proxy"):
        raise NotImplementedError
"""
LATE = f"{SPACE}        import own_layers\n"
"""The same, which imports another module only when it builds."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current directory, with the path and the modules put back afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *(p for p in sys.path if p)])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(folder: Path, sources: Mapping[str, str]) -> None:
    """Write files by their paths."""
    for name, source in sources.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)


def module_of(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def own_modules(space: SearchSpace) -> set[str]:
    return {name for name in space_fingerprint(space) if not name.startswith("gtn_nas")}


# the spaces that ship


def test_an_edit_of_any_module_of_a_shipped_space_changes_its_fingerprint_and_no_other(tmp_path):
    modules = {
        name: more | {f"gtn_nas.spaces.{name}", f"gtn_nas.spaces.{name}_layers"}
        for name, more in MODULES.items()
    }
    others = {"gtn_nas.errors", "gtn_nas.config.search", "gtn_nas.spaces.stored"}
    assert set(modules) == set(SPACES)
    found = changed_by_edits(
        tmp_path,
        sorted(others.union(*modules.values())),
        "from gtn_nas.spaces import SPACES, get_space\n"
        "from gtn_nas.spaces.fingerprint import space_fingerprint",
        "{name: space_fingerprint(get_space(name)) for name in SPACES}",
    )
    for edited, changed in found.items():
        assert changed == {n: [edited] if edited in modules[n] else [] for n in SPACES}


@pytest.mark.parametrize("name", SPACES)
def test_a_fingerprint_has_a_hash_of_its_own_for_each_module(name):
    found = space_fingerprint(get_space(name))
    assert all(len(digits) == 16 and int(digits, 16) >= 0 for digits in found.values())
    assert len(set(found.values())) == len(found)


# a space of the user's own


def test_the_fingerprint_follows_code_and_not_prose(here):
    file = here / "own_spaces.py"
    file.write_text(SPACE)
    space = get_space("own_spaces:Widths")
    before = space_fingerprint(space)
    mended = SPACE.replace("\nclass", "\n# all of them\nclass").replace(
        '    name = "widths"', '    """Widths."""\n\n    name = ("widths")\n    """Of layers."""'
    )
    file.write_text(mended.replace("raise", '"""Build."""\n\n        raise'))
    assert space_fingerprint(space) == before
    file.write_text(SPACE.replace("(8, 16)", "(8, 32)"))
    assert changed_modules(before, space) == ["own_spaces"]


PACKAGE = {
    "lab/spaces.py": f"import lab.sizes as s\nfrom . import layers\n{SPACE}",
    "lab/sizes.py": "def late():\n    from lab.parts.late import LATE\n",
    "lab/layers.py": "from .parts import convolution as c, NAME\nfrom lab import spaces\n",
    "lab/parts/__init__.py": "NAME = 'from lab import unread'\n",
    "lab/parts/convolution.py": (
        "import helper.deep, absent\n"
        "try:\n    from ...beyond import x\nexcept ImportError:\n    import torch\n"
    ),
    "lab/parts/late.py": "LATE = 1\n",
    "helper/__init__.py": "",
    "helper/deep.py": "from gtn_nas.spaces.conv_chain_layers import ConvBlock\n",
}
"""``lab`` is a folder without ``__init__.py``, ``helper`` a package beside it."""


@pytest.mark.parametrize("edited", [*PACKAGE, "lab/unread.py"])
def test_what_a_package_imports_counts_wherever_the_import_stands(here, edited):
    write(here, {**PACKAGE, "lab/parts/convolution.py": "", "lab/unread.py": ""})
    space = get_space("lab.spaces:Widths")
    write(here, PACKAGE)  # now with imports that would fail, were they executed
    before = space_fingerprint(space)
    assert own_modules(space) == set(map(module_of, PACKAGE))
    assert {"gtn_nas.spaces.base", "gtn_nas.spaces.conv_chain_layers"} < set(before)
    assert not {"helper", "lab.parts.late"} & set(sys.modules)
    with (here / edited).open("a") as file:
        file.write("\nEDITED = 1\n")
    assert changed_modules(before, space) == ([module_of(edited)] if edited in PACKAGE else [])


def test_modules_of_a_persons_own_count_and_installed_ones_do_not(here):
    sys.path += [str(here / name) for name in ("lib/site-packages", "target", "elsewhere")]
    write(
        here,
        {
            "own_spaces.py": f"import own_layers, further, foreign, vendored\n"
            f"import json, os.path, torch\nfrom torch import classes, nn, ops\n{SPACE}",
            "own_layers.py": "",
            "elsewhere/further.py": "",
            "lib/site-packages/foreign/__init__.py": "",
            "target/vendored.py": "",
            "target/vendored-1.0.dist-info/RECORD": "",
        },
    )
    found = own_modules(get_space("own_spaces:Widths"))
    assert found == {"own_spaces", "own_layers", "further"}


def test_a_space_that_is_installed_has_the_modules_of_its_package(here):
    installed = here / "lib" / "site-packages"
    sys.path.append(str(installed))
    write(
        installed,
        {
            "shared_spaces/__init__.py": "",
            "shared_spaces/widths.py": f"import another\nfrom . import layers\n{SPACE}",
            "shared_spaces/layers.py": "",
            "another.py": "",
        },
    )
    found = own_modules(get_space("shared_spaces.widths:Widths"))
    assert found == {"shared_spaces", "shared_spaces.widths", "shared_spaces.layers"}


def test_the_classes_that_a_space_derives_from_count_however_they_came(here):
    write(
        here,
        {
            "wider.py": "from importlib import import_module\n"
            "class Wider(import_module('own_spaces').Widths): name = 'wider'\n",
            "own_spaces.py": LATE,
            "own_layers.py": "",
        },
    )
    assert own_modules(get_space("wider:Wider")) == {"wider", "own_spaces", "own_layers"}


def test_a_compiled_module_counts_by_its_bytes(here):
    compiled = here / f"own_layers{EXTENSION_SUFFIXES[0]}"
    write(here, {"own_spaces.py": LATE, compiled.name: "one"})
    space = get_space("own_spaces:Widths")
    before = space_fingerprint(space)
    compiled.write_text("other")
    assert changed_modules(before, space) == ["own_layers"]


def test_a_module_that_is_gone_is_a_change(here):
    write(here, {"own_spaces.py": LATE, "own_layers.py": ""})
    space = get_space("own_spaces:Widths")
    before = space_fingerprint(space)
    (here / "own_layers.py").unlink()
    importlib.invalidate_caches()
    assert changed_modules(before, space) == ["own_layers"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (b"\nx = = 1\n", "own_layers.py, line 2: invalid syntax"),
        (b"x = '\xff'\n", "own_layers.py.*(utf-8|unicode)"),
        (b"x = 1\0\n", "own_layers.py.*null bytes"),
    ],
)
def test_a_module_that_cannot_be_parsed_is_named_with_its_line(here, source, said):
    write(here, {"own_spaces.py": LATE})
    (here / "own_layers.py").write_bytes(source)
    with pytest.raises(ConfigError, match=said) as caught:
        space_fingerprint(get_space("own_spaces:Widths"))
    assert "\n" not in str(caught.value)


def test_a_class_without_a_source_file_has_no_fingerprint(here):
    scope: dict[str, object] = {"__name__": "typed_in"}
    exec(SPACE, scope)  # noqa: S102 (stands for an interactive session)
    with pytest.raises(ConfigError, match="typed_in:Widths cannot be read; define the search"):
        space_fingerprint(scope["Widths"]())


# code


def hash_of(file: Path, source: str) -> str:
    file.write_text(source)
    return code_fingerprint([file.stem])[file.stem]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x = True"),
        ("x = 1", "x = '1'"),
        ("x = 1", "x = 1.0"),
        ("x = None", "x = 'None'"),
        ("x = 'not prose'", "x = 'prose'"),
        ("x = a - (b - c)", "x = a - b - c"),
        ("x = [a, [b]]", "x = [[a], b]"),
        ("f(a=b)", "f(a, b)"),
        ("f(*a)", "f(a)"),
        ("def f(a, *, b): 0", "def f(a, b): 0"),
        ("def f(a, b=0): 0", "def f(a=0, *, b): 0"),
        ("if a:\n    b\nc", "if a:\n    b\n    c"),
        ("from . import x", "from .. import x"),
    ],
)
def test_what_means_something_else_has_another_hash(here, one, other):
    assert hash_of(here / "compared.py", one) != hash_of(here / "compared.py", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 'a'", 'x = ("""a""")  # an a'),
        ("x = 10000", "x = 10_000"),
        ("x = {'a':1}", "x = {\n    'a': 1,\n}"),
        ("x = 'ab'", "x = 'a' 'b'"),
        ("def f():\n    0", "def f():\n    '''Do nothing.'''\n    0"),
    ],
)
def test_what_is_but_written_otherwise_has_the_same_hash(here, one, other):
    assert hash_of(here / "compared.py", one) == hash_of(here / "compared.py", other)


def test_a_long_sum_is_no_deeper_than_the_stack(here):
    assert hash_of(here / "compared.py", "x = " + " + ".join("1" * 900))


MANY_KINDS = """
import a.b as c
from ..d import (e, f as g)

@h(1.5, j=2j, **k)
class L(M, metaclass=N):
    o: int = 0x10
    async def p(self, q, /, r: "S" = None, *t, u, **v) -> None:
        async with w as x, y: yield
        return [*(z async for z in self if z if not z), lambda: ...]

try:
    x[1:, ::2] = y = {**a, 'b': -c} or {d, b'\\x00\\xff', 'é\\n'}
except* (E, F) as e:
    raise G from e
else:
    del x[0], y.z
finally:
    assert (n := f"a{b!r:>{c}}{d=}" 'e' rf"{{\\d}}") is not None, "why"
match x:
    case {"a": [1, *_], **rest} | L(o=None) if rest: pass
    case "x" | _: global i
while 1 < x <= 2 ** 70 and not y: continue
for i, *j in (): x @= i if j else ~k
"""


def test_versions_of_python_agree_on_a_hash(here):
    """The hash was computed by Python 3.11, 3.12 and 3.13."""
    assert hash_of(here / "compared.py", MANY_KINDS) == "39831ee14a9cd4dc"


# what changed


def test_what_changed_is_told_by_name():
    before = {"data": "a", "search space": {"m": "1", "n": "2"}, "classes": [1], "teacher": "t"}
    now = {"data": "a", "search space": {"m": "1", "n": "3", "o": "4"}, "teacher": "u"}
    assert changes(before, now) == ["search space (n, o)", "teacher"]
    assert changes(before, {"data": "a"}) == []
    assert changes({}, {"data": "a", "search space": {"m": "1"}}) == ["data", "search space"]


@pytest.mark.parametrize("noted", [None, "b81ba7132a379744"])
def test_nothing_follows_from_what_earlier_versions_noted(noted):
    assert changed_modules(noted, get_space("conv_chain")) == []
