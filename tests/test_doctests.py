"""The examples in the docstrings of public names, run as they are read."""

import doctest
from contextlib import chdir
from pathlib import Path

import pytest

import gtn_nas

OTHERS = [name for name in gtn_nas.__all__ if name != "search"]


def run_examples(name: str) -> None:
    """Run the examples of a public name and of its methods, as after ``from gtn_nas import *``."""
    public = {known: getattr(gtn_nas, known) for known in gtn_nas.__all__}
    found = doctest.DocTestFinder().find(public[name], name, globs=public)
    with_examples = [test for test in found if test.examples]
    assert with_examples, f"{name} has no example in its docstring"
    said: list[str] = []
    for test in with_examples:
        doctest.DocTestRunner().run(test, out=said.append)
    assert not said, "".join(said)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the example of ``search`` was run; the others read the run that it leaves."""
    place = tmp_path_factory.mktemp("examples")
    with chdir(place):
        run_examples("search")
    return place


@pytest.mark.parametrize("name", OTHERS)
def test_every_public_name_has_an_example_that_runs(name: str, folder: Path) -> None:
    with chdir(folder):
        run_examples(name)
