import ast
import json
import subprocess
import sys
from collections import Counter
from importlib import util
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gtn_nas.config.validate import ValidateConfig
from gtn_nas.errors import UnknownNameError
from gtn_nas.proxies import zero_cost
from gtn_nas.proxies.base import ProxySettings
from gtn_nas.proxies.catalogue import (
    ALL,
    COMPARED,
    DIRECTIONS,
    EVALUATED,
    LATENCY,
    LATENCY_MS,
    PROXIES,
    SIZES,
    TIMES,
    Need,
    columns_of,
    cost_columns_of,
    help_text,
    known,
    modules_of,
    needs_of,
    proxies_of,
)
from gtn_nas.proxies.evaluator import shared_arrays
from gtn_nas.proxies.registry import make_proxies
from gtn_nas.ranking.columns import NUMERIC_COLUMNS

from .candidates import run, trial

SETTINGS = ProxySettings(real_steps=2, mean=(0.3,), std=(0.4,))
PACKAGE = "gtn_nas.proxies"


@pytest.fixture(scope="module")
def tensors(digits, data, lesson):
    """What workers share, where every proxy is asked for."""
    training = digits.train.images[:64], digits.train.labels[:64]
    arrays = shared_arrays(data, lesson, lesson, training)
    return {name: torch.tensor(array) for name, array in arrays.items()}


# what is declared, and what is computed


BEFORE = {
    "gtn": {"proxy_accuracy": "higher", "proxy_loss": "lower", "gtn_drop": "higher"},
    "gtn_improvement": {"gtn_improvement": "higher"},
    "gtn_untrained": {"untrained_accuracy": "higher", "untrained_loss": "lower"},
    "real_steps": {
        "real_accuracy": "higher",
        "real_loss": "lower",
        "real_training_loss": "lower",
    },
    "nwot": {"nwot": "higher"},
    "jacob_cov": {"jacob_cov": "higher"},
    "synflow": {"synflow": "higher"},
    "snip": {"snip": "higher"},
    "grad_norm": {"grad_norm": "higher"},
    "zico": {"zico": "higher"},
    "latency": {"latency_ms": "lower"},
}
"""What runs were written and ranked with: the order of proxies is a part of their identity."""


def test_what_runs_were_written_with_has_not_changed():
    assert [name for name in PROXIES if name in BEFORE] == list(BEFORE)
    assert {name: dict(PROXIES[name].columns) for name in BEFORE} == BEFORE
    assert [name for name in PROXIES if name not in EVALUATED] == [LATENCY]


@pytest.mark.parametrize("name", EVALUATED)
def test_every_proxy_fills_the_columns_that_it_declares(name, tensors, data):
    (group,) = make_proxies([name], SETTINGS, tensors)
    found = run(group.compute, trial(budget=2), data)
    of_gtn = columns_of(["gtn"]) if name == "gtn_improvement" else ()
    assert group.names == (name,)
    assert group.columns == columns_of([name])
    assert sorted(found) == sorted({*columns_of([name]), *of_gtn})


def test_all_proxies_at_once_fill_every_column_once(tensors, data):
    groups = make_proxies(EVALUATED, SETTINGS, tensors)
    filled = Counter(c for group in groups for c in run(group.compute, trial(budget=2), data))
    assert filled == Counter(columns_of(EVALUATED))


def test_no_column_is_declared_twice():
    assert max(Counter([*columns_of(PROXIES), *SIZES]).values()) == 1
    assert set(columns_of(PROXIES)) & TIMES == {LATENCY_MS}
    assert DIRECTIONS.keys() == set(columns_of(PROXIES)) | TIMES


def test_proxies_of_one_module_are_made_together_in_the_order_of_the_catalogue(tensors):
    groups = make_proxies(reversed(EVALUATED), SETTINGS, tensors)
    assert [(group.names, group.cost_column) for group in groups] == [
        (("gtn", "gtn_improvement"), "gtn_s"),
        (("gtn_untrained",), "gtn_untrained_s"),
        (("real_steps",), "real_steps_s"),
        (tuple(name for name in EVALUATED if name in zero_cost.FUNCTIONS), "zero_cost_s"),
    ]


def test_proxies_of_one_module_share_a_cost_and_others_do_not():
    pairs = {(PROXIES[name].module, PROXIES[name].cost_column) for name in EVALUATED}
    assert len(pairs) == len({m for m, _ in pairs}) == len({cost for _, cost in pairs})


@pytest.mark.parametrize("name", EVALUATED)
def test_a_proxy_is_made_from_what_it_declares_to_need_alone(name, tensors):
    prefixes = {
        Need.LESSON: "lesson_",
        Need.UNTRAINED_LESSON: "untrained_",
        Need.TRAINING_IMAGES: "training_",
    }
    needed = {prefixes[need] for need in needs_of([name])}
    others = tuple(prefix for prefix in prefixes.values() if prefix not in needed)
    assert make_proxies(
        [name], SETTINGS, {n: t for n, t in tensors.items() if not n.startswith(others)}
    )


@pytest.mark.parametrize(
    ("names", "needs"),
    [
        (["gtn"], {"lesson"}),
        (["gtn_improvement", "nwot"], {"lesson"}),
        (["gtn_untrained"], {"lesson", "untrained lesson"}),
        (["real_steps", "gtn"], {"training images", "lesson"}),
        (["nwot", "jacob_cov", "synflow", "snip", "grad_norm", "zico"], set()),
        (["latency"], {"idle worker"}),
        ([], set()),
    ],
)
def test_what_a_search_prepares(names, needs):
    assert needs_of(names) == needs


def test_the_functions_without_training_are_those_that_are_declared():
    assert set(zero_cost.FUNCTIONS) == {n for n in EVALUATED if not PROXIES[n].trains}
    trained = {name for name in PROXIES if PROXIES[name].trains}
    assert trained >= {"gtn", "gtn_improvement", "gtn_untrained", "real_steps"}


def test_every_proxy_tells_what_it_is_and_where_it_comes_from():
    for name, info in PROXIES.items():
        assert info.name == name
        assert f"{name} ({info.help})" in help_text()
        assert info.source


def test_what_is_validated_by_default_is_declared():
    assert ValidateConfig().proxies == (ALL,)
    assert COMPARED[:2] == ("gtn", "real_steps")
    assert COMPARED[2:] == ("nwot", "jacob_cov", "synflow", "snip", "grad_norm", "zico")


def test_every_measure_of_a_record_has_a_direction():
    assert set(NUMERIC_COLUMNS) <= DIRECTIONS.keys() | set(SIZES)


# names and columns


def test_an_unknown_proxy_is_refused_and_the_nearest_is_named(tensors):
    assert known(["nwot", "gtn", "nwot"]) == ["nwot", "gtn"]
    with pytest.raises(UnknownNameError, match="unknown proxy 'synflo'; did you mean synflow"):
        known(["gtn", "synflo"])
    with pytest.raises(UnknownNameError, match="unknown proxy 'params'"):
        make_proxies(["params"], SETTINGS, tensors)


def test_latency_can_be_asked_for_but_is_not_made_while_others_are_busy(tensors):
    assert proxies_of(["nwot", LATENCY_MS]) == ["nwot", LATENCY] == known(["nwot", LATENCY])
    with pytest.raises(UnknownNameError, match="unknown proxy 'latency'"):
        make_proxies(["nwot", LATENCY], SETTINGS, tensors)


@pytest.mark.parametrize(
    ("columns", "proxies", "costs"),
    [
        (["proxy_accuracy", "proxy_loss"], ["gtn"], ["gtn_s"]),
        (["gtn_improvement"], ["gtn_improvement"], ["gtn_s"]),
        (["gtn_drop", "gtn_improvement"], ["gtn", "gtn_improvement"], ["gtn_s"]),
        (
            ["untrained_loss", "zico", "nwot"],
            ["gtn_untrained", "zico", "nwot"],
            ["gtn_untrained_s", "zero_cost_s"],
        ),
        (["latency_ms"], ["latency"], []),
        (["params", "flops", "depth", "train_s", "nothing"], [], []),
    ],
)
def test_the_proxies_of_columns_and_what_they_cost(columns, proxies, costs):
    assert proxies_of(columns) == proxies
    assert cost_columns_of(columns) == costs


@given(st.lists(st.sampled_from([*columns_of(PROXIES), *SIZES])))
def test_the_proxies_of_columns_fill_all_of_them_and_none_is_idle(columns):
    found = proxies_of(columns)
    assert set(columns_of(found)) >= set(columns) - set(SIZES)
    assert all(set(columns_of([name])) & set(columns) for name in found)
    assert len(set(found)) == len(found)


# modules


def imports_of(module):
    """The modules of this folder that one of them imports."""
    tree = ast.parse(Path(util.find_spec(module).origin).read_text())
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name for name in names if name.startswith(f"{PACKAGE}.")}


def reached_from(module):
    found, new = set(), {module}
    while new:
        found |= new
        new = {name for each in new for name in imports_of(each)} - found
    return found - {f"{PACKAGE}.catalogue"}


@pytest.mark.parametrize("name", PROXIES)
def test_the_modules_of_a_proxy_are_those_that_its_own_imports(name):
    of_all = modules_of([])
    assert of_all == {f"{PACKAGE}.{module}" for module in ("base", "evaluator", "size")}
    assert modules_of([name]) == of_all | reached_from(f"{PACKAGE}.{PROXIES[name].module}")


def test_modules_of_several_proxies():
    assert modules_of(["real_steps", "nwot", "synflow"]) - modules_of([]) == {
        "gtn_nas.proxies.real_steps",
        "gtn_nas.proxies.gtn",
        "gtn_nas.proxies.zero_cost",
        "gtn_nas.proxies.passes",
    }


def test_the_catalogue_needs_no_torch():
    said = (
        "import sys, json, gtn_nas.proxies.catalogue as c; c.modules_of(c.PROXIES); c.help_text();"
        "print(json.dumps([m for m in ('torch', 'numpy', 'ray') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
