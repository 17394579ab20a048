import subprocess
import sys
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gtn_nas.errors import UnknownNameError
from gtn_nas.proxies import zero_cost
from gtn_nas.proxies.evaluator import shared_arrays
from gtn_nas.proxies.names import (
    COLUMNS,
    LATENCY,
    LATENCY_MS,
    NAMES,
    OF_TEACHER,
    SIZES,
    TRAINED,
    ZERO_COST,
    known,
    proxies_of,
)
from gtn_nas.proxies.registry import ProxySettings, make_proxies
from gtn_nas.ranking import ranking
from gtn_nas.ranking.columns import NUMERIC_COLUMNS

from .candidates import run, trial

SETTINGS = ProxySettings(real_steps=2, mean=(0.3,), std=(0.4,))


def columns_of(name):
    return TRAINED.get(name, (name,))


@pytest.fixture(scope="module")
def tensors(digits, data, lesson):
    """What workers share, where every proxy is asked for."""
    training = digits.train.images[:64], digits.train.labels[:64]
    arrays = shared_arrays(data, lesson, lesson, training)
    return {name: torch.tensor(array) for name, array in arrays.items()}


@pytest.mark.parametrize("name", NAMES)
def test_every_proxy_fills_the_columns_that_it_is_said_to(name, tensors, data):
    (proxy,) = make_proxies([name], SETTINGS, tensors)
    found = run(proxy, trial(budget=2), data)
    of_gtn = TRAINED["gtn"] if name == "gtn_improvement" else ()
    assert sorted(found) == sorted({*columns_of(name), *of_gtn})
    assert found.keys() <= proxy.directions.keys()


def test_all_proxies_at_once_fill_every_column_once(tensors, data):
    proxies = make_proxies(NAMES, SETTINGS, tensors)
    assert len({proxy.name for proxy in proxies}) == len(proxies)
    filled = Counter(name for proxy in proxies for name in run(proxy, trial(budget=2), data))
    assert filled == Counter(COLUMNS) - Counter(SIZES)
    assert Counter(name for proxy in proxies for name in proxy.directions) == filled


@pytest.mark.parametrize("name", NAMES)
def test_a_column_ranks_in_the_direction_that_its_proxy_declares(name, tensors):
    (proxy,) = make_proxies([name], SETTINGS, tensors)
    for column in columns_of(name):
        assert ranking.lower_ranks_first(column) is (proxy.directions[column] == "lower")


@pytest.mark.parametrize("name", NAMES)
def test_those_of_a_teacher_need_one_and_no_others_do(name, tensors):
    without = {n: t for n, t in tensors.items() if not n.startswith(("lesson", "untrained"))}
    if name in OF_TEACHER:
        with pytest.raises(KeyError):
            make_proxies([name], SETTINGS, without)
    else:
        assert make_proxies([name], SETTINGS, without)


def test_names_agree_with_what_is_named():
    assert tuple(zero_cost.PROXIES) == ZERO_COST
    assert set(SIZES) == ranking.SIZES <= set(NUMERIC_COLUMNS)
    assert len(set(COLUMNS)) == len(COLUMNS)
    assert set(NAMES) >= OF_TEACHER


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
    ("columns", "proxies"),
    [
        (["proxy_accuracy", "proxy_loss"], ["gtn"]),
        (["gtn_improvement"], ["gtn_improvement"]),
        (["untrained_loss", "zico", "gtn_drop"], ["gtn_untrained", "zico", "gtn"]),
        (["params", "flops", "depth", "train_s", "nothing"], []),
    ],
)
def test_the_proxies_of_columns(columns, proxies):
    assert proxies_of(columns) == proxies


@given(st.lists(st.sampled_from(COLUMNS)))
def test_the_proxies_of_columns_fill_all_of_them_and_none_is_idle(columns):
    found = proxies_of(columns)
    assert {c for name in found for c in columns_of(name)} >= set(columns) - set(SIZES)
    assert all(set(columns_of(name)) & set(columns) for name in found)
    assert len(set(found)) == len(found)


def test_names_need_no_torch():
    said = "import sys, gtn_nas.proxies.names; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
