"""Options made from settings: their names stand here once more, so that none is lost."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from gtn_nas.cli.job import COMMANDS, parsed
from gtn_nas.cli.main import app
from gtn_nas.cli.options import options
from gtn_nas.config import search
from gtn_nas.config.base import Group, Names, PositiveInt, UriOrPath, setting
from gtn_nas.config.pretrain import PretrainConfig
from gtn_nas.config.search import SearchConfig
from gtn_nas.config.validate import ValidateConfig
from gtn_nas.searching.default_ranking import RANK_BY, RANK_BY_TEACHER, TEACHER_SEEDS

SEARCH = """
--address str
--candidates int
--config Path
--cpus-per-worker float
--data-dir Path
--dataset str
--executor str
--final-epochs int
--gpus-per-worker float
--halve-finals/--no-halve-finals bool
--help bool
--image-size int
--latency-batch int
--limit list[str]
--max-workers int
--min-workers int
--objective list[str]
--out str
--predictor/--no-predictor bool
--proxies str
--proxy-seeds int
--rank-by str
--real-steps int
--resume bool
--resume-or-start bool
--sampler str
--seed int
--space str
--split-seed int
--strategy str
--teacher str
--timeout-s float
--top-k int
--workers int
"""

PRETRAIN = """
--address str
--augment/--no-augment bool
--batch-size int
--channels int
--checkpoint str
--config Path
--cpus-per-worker float
--curriculum str
--data-dir Path
--dataset str
--gpus-per-worker float
--help bool
--hidden int
--image-size int
--inner-steps int
--learners-per-step int
--learning-rate float
--max-hours float
--meta-iterations int
--noise-dim int
--out str
--rank-column str
--rank-labels Path
--rank-sharpness float
--rank-weight float
--real-images int
--resume bool
--resume-or-start bool
--seed int
--soft-labels/--hard-labels bool
--space str
--split-seed int
--start Path
--warm-start-steps int
--window int
--workers int
"""

VALIDATE_PROXY = """
--address str
--arch-column str
--architectures int
--config Path
--cpus-per-worker float
--data-dir Path
--dataset str
--executor str
--final-epochs int
--gpus-per-worker float
--help bool
--image-size int
--into-teacher bool
--max-workers int
--min-workers int
--out str
--proxies str
--proxy-seeds int
--rank-by str
--real-steps int
--resume bool
--resume-or-start bool
--seed int
--space str
--split-seed int
--teacher str
--timeout-s float
--truth Path
--truth-column str
--workers int
"""
OPTIONS = {"search": SEARCH, "pretrain": PRETRAIN, "validate-proxy": VALIDATE_PROXY}
KINDS = [SearchConfig, PretrainConfig, ValidateConfig]
ONLY_IN_A_FILE = {"real_batch_size", "real_learning_rate", "real_momentum", "zero_cost_scale"}


def written(option: typer.core.TyperOption) -> str:
    """Return an option as the lists above have it."""
    annotation = option.type_descriptor.annotation
    kind = str(annotation) if option.multiple else annotation.__name__
    return f"{'/'.join([*option.opts, *option.secondary_opts])} {kind}"


def test_all_that_have_options_are_listed_here():
    assert OPTIONS.keys() == COMMANDS.keys()


@pytest.mark.parametrize("name", OPTIONS)
def test_no_option_is_lost_or_read_as_something_else(name):
    group = typer.main.get_command(app)
    command = group.commands[name]
    found = command.get_params(typer.Context(command, info_name=name))
    assert sorted(map(written, found)) == OPTIONS[name].strip().splitlines()


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_is_described(kind):
    for name, field in kind.model_fields.items():
        assert field.description.endswith("."), name
        assert (field.json_schema_extra["group"] is None) == (name in ONLY_IN_A_FILE), name


# a new setting needs nothing but its field


class Extended(SearchConfig):
    """A search with one more setting of each kind."""

    patience: PositiveInt = setting(7, "Epochs to wait.", Group.FINALS)
    rate: float | None = setting(0.50, "How fast.", Group.FINALS)
    strict: bool = setting(True, "Refuse more.", Group.FINALS)
    heating: bool | None = setting(None, "Heat.", Group.FINALS, option="--warm/--cold")
    labels: tuple[str, ...] = setting(("a", "b"), "What to write.", Group.OUTPUT, option="--label")
    among: Names = setting((), "Some of {proxies}.", Group.OUTPUT)
    place: UriOrPath | None = setting(None, "Where.", Group.OUTPUT)
    table: Path = setting(Path("x.csv"), "Which.", Group.OUTPUT)
    hidden: int = setting(3, "Only in a file.")


@pytest.fixture
def extended(monkeypatch):
    monkeypatch.setattr(search, "SearchConfig", Extended)
    return {option.name: option for option in options(Extended)}


@pytest.mark.parametrize(
    ("name", "option", "help"),
    [
        ("patience", "--patience int", "Epochs to wait. [default: 7]"),
        ("rate", "--rate float", "How fast. [default: 0.5]"),
        ("strict", "--strict/--no-strict bool", "Refuse more. [default: --strict]"),
        ("heating", "--warm/--cold bool", "Heat."),
        ("labels", "--label list[str]", "What to write. [default: a,b]"),
        ("place", "--place str", "Where."),
        ("table", "--table Path", "Which. [default: x.csv]"),
    ],
)
def test_a_new_setting_has_an_option_and_a_help_with_its_default(extended, name, option, help):
    assert written(extended[name]) == option
    assert extended[name].help == help
    assert extended[name].rich_help_panel == Extended.model_fields[name].json_schema_extra["group"]


def test_names_that_a_configuration_does_not_know_are_filled_in(extended):
    assert written(extended["among"]) == "--among str"
    assert extended["among"].help.startswith("Some of gtn (")


def test_a_setting_without_a_group_has_no_option(extended):
    assert "hidden" not in extended


def test_what_is_given_reaches_the_command(extended):
    assert parsed(["search"]).settings == {}
    words = ["--patience", "2", "--no-strict", "--cold", "--label", "c", "--label", "d"]
    command = parsed(["search", *words, "--table", "y.csv", "--resume"])
    assert command.kind is Extended
    assert command.flags == ("--resume",)
    assert command.settings == {
        "patience": 2,
        "strict": False,
        "heating": False,
        "labels": ["c", "d"],
        "table": Path("y.csv"),
    }


# what the help says


def shown(command: str) -> str:
    done = CliRunner().invoke(app, [command, "--help"], env={"TERM": "dumb", "COLUMNS": "400"})
    assert done.exit_code == 0
    return done.stdout


def test_options_are_grouped_by_what_they_decide():
    places = [shown("search").find(f" {name} ──") for name in ("Options", *Group)]
    shown_groups = [place for place in places if place >= 0]
    assert shown_groups == sorted(shown_groups)
    assert len(shown_groups) == 1 + len(set(Group) - {"Truth", "Lesson", "Meta-training"})


def test_the_help_tells_the_rankings_that_are_the_default():
    text = shown("search")
    assert f"By default {RANK_BY}, or {RANK_BY_TEACHER} where" in text
    assert f"By default 1, or {TEACHER_SEEDS} where" in text
