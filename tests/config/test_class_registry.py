"""Classes by name; ``tests/spaces/test_registry.py`` has more ways to name none."""

import subprocess
import sys
from dataclasses import replace

import pytest

from gtn_nas.config.class_registry import options_naming, own_modules
from gtn_nas.config.search import SearchConfig
from gtn_nas.errors import ConfigError, UnknownNameError
from gtn_nas.strategies import STRATEGIES, get_strategy, make_strategy
from gtn_nas.strategies.base import Strategy
from gtn_nas.testing.strategies import context

from ..testing.broken import Abstract

OWN = """
from gtn_nas import Strategy, Trial


class Smallest(Strategy):
    def propose(self, rng):
        return Trial(self.space.sample(rng), self.budget)

    def tell(self, records):
        pass


class Choosy(Smallest):
    def __init__(self, context, wanted):
        super().__init__(context)
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current directory, with the path and the modules put back afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_registered_strategy_is_made_of_a_context_and_has_one_line(name):
    strategy = make_strategy(get_strategy(name), context(0))
    assert strategy.ask(1)[0].budget <= 32
    assert STRATEGIES[name]
    assert "\n" not in STRATEGIES[name]


def test_a_strategy_of_the_users_own_comes_from_the_current_directory(here):
    (here / "my_own_strategies.py").write_text(OWN)
    found = get_strategy("my_own_strategies:Smallest")
    assert issubclass(found, Strategy)
    assert len(make_strategy(found, context(0)).ask(3)) == 3


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("evolution", "unknown strategy 'evolution'; did you mean regularized_evolution"),
        ("my_own_strategies:Smalest", "did you mean Smallest"),
        ("my_own_strategies:Trial", "my_own_strategies:Trial is not a subclass of Strategy"),
        ("absent_module:Mine", "strategy 'absent_module:Mine': no module 'absent_module' here"),
        (
            "my_own_strategies.py:Smallest",
            "write it as module:Class, e.g. my_strategies:MyStrategy",
        ),
    ],
)
def test_what_is_no_strategy_is_refused_in_one_line(here, spec, told):
    (here / "my_own_strategies.py").write_text(OWN)
    with pytest.raises(ConfigError, match=told) as caught:
        get_strategy(spec)
    assert "\n" not in str(caught.value)


def test_a_strategy_that_needs_more_than_a_context_is_refused(here):
    (here / "my_own_strategies.py").write_text(OWN)
    choosy = get_strategy("my_own_strategies:Choosy")
    with pytest.raises(ConfigError, match=r"my_own_strategies:Choosy cannot .*'wanted'"):
        make_strategy(choosy, context(0))
    with pytest.raises(ConfigError, match=r"Abstract cannot be made .*propose"):
        make_strategy(Abstract, context(0))


def test_what_a_strategy_refuses_is_told_in_its_own_words():
    with pytest.raises(UnknownNameError, match="unknown Optuna sampler 'TPESamplr'"):
        make_strategy(get_strategy("optuna"), replace(context(0), sampler="TPESamplr"))


def test_modules_are_what_must_be_named_again():
    plain = SearchConfig().model_dump()
    assert own_modules(plain) == {}
    assert options_naming(plain) == []
    own = plain | {"space": "a.b:C", "strategy": "d:E"}
    assert own_modules(own) == {"space": "a.b:C", "strategy": "d:E"}
    assert options_naming(own) == ["--space", "a.b:C", "--strategy", "d:E"]


def test_neither_registry_imports_what_it_names():
    code = (
        "import sys; from gtn_nas.spaces import SPACES; from gtn_nas.strategies import STRATEGIES; "
        "heavy = {'torch', 'ray', 'optuna', 'gtn_nas.strategies.random_search'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
