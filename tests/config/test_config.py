from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gtn_nas.config.base import parse
from gtn_nas.config.pretrain import PretrainConfig
from gtn_nas.config.search import RESUMABLE, SearchConfig, refuse_changes
from gtn_nas.config.validate import ValidateConfig
from gtn_nas.config.yaml_file import read_yaml, to_yaml
from gtn_nas.errors import ConfigError

KINDS = [SearchConfig, ValidateConfig, PretrainConfig]

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)

positive = st.integers(1, 10**9)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "dataset": TEXT,
        "seed": st.integers(0, 2**63),
        "image_size": st.none() | st.integers(8, 64),
        "teacher": st.none() | TEXT,
        "strategy": st.sampled_from(["random", "successive_halving", "optuna"]),
        "proxies": st.lists(TEXT, max_size=2).map(tuple),
        "objectives": st.lists(TEXT, max_size=2).map(tuple),
        "limits": st.lists(TEXT, max_size=2).map(tuple),
        "candidates": positive,
        "top_k": st.integers(0, 100),
        "workers": st.none() | positive,
        "cpus_per_worker": st.floats(1e-3, 64),
        "address": st.none() | TEXT,
        "out": st.none() | st.sampled_from([Path("runs/x"), Path("/tmp/ä b"), Path("no")]),  # noqa: S108  # never opened
    },
)


def message_of(kind, values):
    with pytest.raises(ConfigError) as caught:
        parse(kind, values)
    message = str(caught.value)
    assert "\n" not in message
    return message


@every_kind
def test_every_setting_has_a_default(kind):
    assert parse(kind, {}) == kind()


@settings(deadline=None)
@given(values=SETTINGS)
def test_a_configuration_survives_yaml(values):
    config = parse(SearchConfig, values)
    again = parse(SearchConfig, yaml.safe_load(to_yaml(config)))
    assert again == config
    assert to_yaml(again) == to_yaml(config)


@every_kind
def test_a_configuration_survives_a_file(kind, tmp_path):
    config = kind(dataset="folder:größe", seed=3, out=tmp_path / "out")
    path = tmp_path / "config.yaml"
    path.write_text(to_yaml(config), encoding="utf-8")
    assert parse(kind, read_yaml(path)) == config


def test_proxies_may_be_joined_by_commas():
    assert parse(SearchConfig, {"proxies": "gtn,nwot"}).proxies == ("gtn", "nwot")
    assert parse(SearchConfig, {"proxies": ["gtn", "nwot"]}).proxies == ("gtn", "nwot")


def test_a_configuration_cannot_be_changed():
    with pytest.raises(ValidationError):
        SearchConfig().seed = 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"canddates": 5}, "unknown setting 'canddates'; did you mean 'candidates'?"),
        ({"xyz": 5}, "unknown setting 'xyz'"),
        ({"candidates": 0}, "candidates: input should be greater than 0 (got 0)"),
        ({"top_k": -1}, "top_k: input should be greater than or equal to 0 (got -1)"),
        ({"image_size": 7}, "image_size: input should be greater than or equal to 8 (got 7)"),
    ],
)
def test_a_mistake_is_named_with_its_cure(values, message):
    assert message_of(SearchConfig, values) == message


@pytest.mark.parametrize(
    "values",
    [
        {"candidates": 2.5},
        {"candidates": "many"},
        {"candidates": None},
        {"strategy": 3},
        {"executor": None},
        {"seed": -1},
        {"split_seed": -1},
        {"workers": 0},
        {"cpus_per_worker": 0},
        {"gpus_per_worker": -0.5},
        {"timeout_s": 0},
        {"final_epochs": 0},
        {"dataset": ["digits"]},
    ],
    ids=str,
)
def test_a_bad_value_is_named_and_shown(values):
    ((name, value),) = values.items()
    message = message_of(SearchConfig, values)
    assert message.startswith(f"{name}: ")
    assert message.endswith(f"(got {value!r})")


def test_all_mistakes_are_told_at_once():
    message = message_of(PretrainConfig, {"inner_step": 8, "batch_size": 0, "curriculum": "half"})
    assert "did you mean 'inner_steps'?" in message
    assert "batch_size: " in message
    assert "curriculum: " in message


def test_an_empty_file_is_an_empty_configuration(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("# seed: 1\n")
    assert read_yaml(path) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"seed: [1", "is not YAML"),
        (b"\xff\xfe\x00", "is not YAML"),
        (b"!!python/object/apply:os.getcwd []", "is not YAML"),
        (b"- seed", "must be a mapping of settings"),
        (b"seed", "must be a mapping of settings"),
    ],
)
def test_a_file_that_is_no_configuration_is_named(tmp_path, content, message):
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_yaml(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.yaml: No such file"):
        read_yaml(tmp_path / "absent.yaml")
    with pytest.raises(ConfigError, match="Is a directory"):
        read_yaml(tmp_path)


CHANGED = {
    "dataset": "mnist",
    "data_dir": Path("elsewhere"),
    "image_size": 16,
    "split_seed": 1,
    "space": "nas_bench_201",
    "seed": 1,
    "teacher": "digits",
    "strategy": "regularized_evolution",
    "sampler": "NSGAIISampler",
    "candidates": 400,
    "top_k": 5,
    "predictor": True,
    "halve_finals": True,
    "proxies": ("gtn", "nwot"),
    "proxy_seeds": 2,
    "real_steps": 8,
    "real_batch_size": 32,
    "real_learning_rate": 0.2,
    "real_momentum": 0.5,
    "zero_cost_scale": "proxy",
    "latency_batch": 8,
    "rank_by": "proxy_loss",
    "objectives": ("params",),
    "limits": ("params<=100000",),
    "executor": "inline",
    "workers": 2,
    "min_workers": 2,
    "max_workers": 4,
    "cpus_per_worker": 2.0,
    "gpus_per_worker": 0.5,
    "timeout_s": 10.0,
    "final_epochs": 2,
    "address": "auto",
    "out": Path("runs/other"),
}
MAY_DIFFER = RESUMABLE | {"out", "data_dir"}


def test_every_setting_is_tried_in_a_resume():
    assert CHANGED.keys() == SearchConfig.model_fields.keys()


@pytest.mark.parametrize("name", sorted(MAY_DIFFER))
def test_a_resume_may_change_what_keeps_results_comparable(name):
    refuse_changes(SearchConfig(), SearchConfig(**{name: CHANGED[name]}))


@pytest.mark.parametrize("name", sorted(CHANGED.keys() - MAY_DIFFER))
def test_a_resume_that_would_mix_results_is_refused_and_the_difference_shown(name):
    stored, wanted = SearchConfig(), SearchConfig(**{name: CHANGED[name]})
    with pytest.raises(ConfigError) as caught:
        refuse_changes(stored, wanted)
    assert f"cannot change {name}: {getattr(stored, name)} -> {CHANGED[name]};" in str(caught.value)


def test_all_differences_are_shown_at_once():
    with pytest.raises(ConfigError, match=r"split_seed: 0 -> 2, seed: 0 -> 1; only address, cand"):
        refuse_changes(SearchConfig(), SearchConfig(seed=1, split_seed=2, top_k=1))


@pytest.mark.parametrize("name", ["real_learning_rate", "real_momentum"])
def test_step_sizes_are_one_for_all_steps_or_one_for_each(name):
    assert getattr(parse(SearchConfig, {name: [0.5, 0.25], "real_steps": 2}), name) == (0.5, 0.25)
    with pytest.raises(ConfigError, match=f"^{name} has 2 values for 3 real_steps$"):
        parse(SearchConfig, {name: [0.5, 0.25], "real_steps": 3})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"workers": 2, "max_workers": 4}, "^workers is a fixed number"),
        ({"workers": 2, "min_workers": 1}, "^workers is a fixed number"),
        ({"min_workers": 5, "max_workers": 4}, "^min_workers 5 is above max_workers 4$"),
    ],
)
def test_a_pool_is_of_a_fixed_size_or_between_two(values, message):
    with pytest.raises(ConfigError, match=message):
        parse(SearchConfig, values)


def test_a_config_of_step_sizes_reads_back_equal(tmp_path):
    sizes = {"real_learning_rate": [0.5, 0.25], "real_momentum": [0.0, 0.9], "real_steps": 2}
    config = parse(SearchConfig, sizes)
    (tmp_path / "config.yaml").write_text(to_yaml(config))
    assert parse(SearchConfig, read_yaml(tmp_path / "config.yaml")) == config
