import json
import math
import random
import shutil
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gtn_nas.config.base import parse
from gtn_nas.config.search import SearchConfig
from gtn_nas.config.yaml_file import read_yaml
from gtn_nas.data import load_dataset
from gtn_nas.errors import (
    ConfigError,
    EnvironmentFailure,
    MetaTrainingError,
    RunFolderError,
    TeacherError,
)
from gtn_nas.pretraining import pretraining
from gtn_nas.pretraining.learners import (
    LearnerSampler,
    holds_any_out,
    is_held_out,
    lesson_accuracies,
    sample_architecture,
)
from gtn_nas.pretraining.pretraining import Pretraining
from gtn_nas.spaces import SPACES, get_space
from gtn_nas.spaces.base import SearchSpace
from gtn_nas.spaces.conv_chain import ConvChain
from gtn_nas.teacher.artifact import load_teacher
from gtn_nas.teacher.curriculum import real_lesson

from ..edited_package import changed_by_edits
from ..labelled_run import write_labels
from .tiny_pretraining import (
    BEFORE,
    ITERATIONS,
    RATES,
    WARM_START,
    abandon,
    content,
    finished,
    tiny_configs,
)

seeds = st.integers(0, 2**31 - 1)


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Make the configuration of a meta-training of seconds, which saves every second step."""
    return tiny_configs(tmp_path, monkeypatch)


# what comes out


def test_a_meta_training_ends_with_a_teacher_that_loads(config):
    run = Pretraining(config(seed=3, split_seed=1))
    for _ in run.run():
        pass
    path, accuracy = run.finish(learners=2)
    teacher, header = load_teacher(path)
    digits = load_dataset("digits", split_seed=1)
    assert path == run.out
    assert (header.dataset, header.fingerprint, header.split_seed) == (
        "digits",
        digits.fingerprint,
        1,
    )
    assert (header.mean, header.std, header.classes) == (digits.mean, digits.std, digits.classes)
    assert (header.space, header.seed, header.versions["torch"]) == (
        "conv_chain",
        3,
        torch.__version__,
    )
    assert header.meta_training["iterations"] == ITERATIONS
    assert header.meta_training["window"] == 2
    assert header.validation_accuracy == accuracy
    assert teacher.lesson().images.shape == (3, 10, 1, 8, 8)
    assert sorted(path.parent.iterdir()) == [path]


def test_the_accuracy_of_a_teacher_is_that_of_its_file(config):
    run = Pretraining(config())
    for _ in run.run():
        pass
    path, accuracy = run.finish(learners=3)
    run.trainer.source.load_state_dict(load_teacher(path)[0].state_dict())
    assert run.held_out_accuracy(3) == accuracy


def test_progress_tells_every_stage(config):
    progress = list(Pretraining(config()).run())
    stages = [(p.stage, p.done, p.total) for p in progress]
    rates = [("learning rates", i + 1, RATES) for i in range(RATES)]
    warm = [("warm start", i + 1, WARM_START) for i in range(WARM_START)]
    meta = [("meta-training", i + 1, ITERATIONS) for i in range(ITERATIONS)]
    assert stages == rates + warm + meta
    assert all(math.isfinite(p.loss) for p in progress)


def test_held_out_learners_are_measured_now_and_then(config, monkeypatch):
    monkeypatch.setattr(pretraining, "HELD_OUT_EVERY", 3)
    run = Pretraining(config(warm_start_steps=0))
    accuracies = [p.held_out_accuracy for p in run.run()][RATES:]
    assert accuracies[:2] == [None, None]
    assert 0 <= accuracies[2] <= 1
    assert accuracies[3] == accuracies[2]


def test_held_out_learners_are_measured_on_validation_images_alone(config):
    run = Pretraining(config(curriculum="real_data", inner_steps=12, batch_size=32))
    accuracy = run.held_out_accuracy(2)
    run.dataset = replace(run.dataset, test=None)
    assert run.held_out_accuracy(2) == accuracy
    others = replace(run.dataset.validation, labels=run.dataset.validation.labels.roll(1))
    run.dataset = replace(run.dataset, validation=others)
    assert run.held_out_accuracy(2) < accuracy - 0.2


def test_the_control_of_real_data_is_no_teacher(config):
    run = Pretraining(config(curriculum="real_data"))
    stages = [p.stage for p in run.run()]
    assert stages == ["learning rates"] * RATES + ["meta-training"] * ITERATIONS
    assert run.checkpoint.exists()
    path, accuracy = run.finish(learners=2)
    assert accuracy > 0.2
    assert list(run.out.parent.iterdir()) == [path]
    rates, momenta = run.trainer.source.step_sizes()
    settings = parse(SearchConfig, read_yaml(path))
    assert settings.real_batch_size == 10
    assert settings.real_learning_rate == pytest.approx(rates.tolist())
    assert settings.real_momentum == pytest.approx(momenta.tolist())


def test_a_file_is_named_after_data_and_space_by_default(tmp_path, monkeypatch, config):
    monkeypatch.chdir(tmp_path)
    run = Pretraining(config(out=None))
    assert str(run.out) == "digits-conv_chain.safetensors"
    assert run.checkpoint.place == "digits-conv_chain.checkpoint"


# interrupted and resumed


def test_the_same_settings_give_the_same_teacher(config):
    one, same = finished(config("one")), finished(config("same"))
    other = finished(config("other", seed=1))
    assert content(one) == content(same)
    assert content(one)[1] != content(other)[1]


@pytest.mark.parametrize("after", [3, pytest.param(ITERATIONS, marks=pytest.mark.slow)])
def test_a_resumed_run_takes_the_steps_that_are_left_and_ends_as_an_undisturbed_one(config, after):
    undisturbed = content(finished(config("undisturbed")))
    abandon(config(), after)
    torch.manual_seed(99)
    resumed = Pretraining(config(), resume=True)
    left = [progress.done for progress in resumed.run()]
    assert left == list(range(after // 2 * 2 + 1, ITERATIONS + 1))
    path, _ = resumed.finish(learners=1)
    assert content(path) == undisturbed
    assert not resumed.checkpoint.exists()


def test_a_resumed_control_ends_as_an_undisturbed_one(config):
    def rates(name, steps, **options):
        run = Pretraining(config(name, curriculum="real_data"), **options)
        steps += 0 if options else RATES
        assert len(list(islice(run.run(), steps))) == steps
        return run.trainer.source.step_sizes.log_rate.tolist()

    undisturbed = rates("undisturbed", ITERATIONS)
    assert rates("abandoned", 3) != undisturbed
    assert rates("abandoned", 2, resume=True) == undisturbed


def test_a_run_resumed_from_an_object_store_ends_as_an_undisturbed_one(config, tmp_path):
    undisturbed = content(finished(config("undisturbed")))
    (tmp_path / "store").mkdir()
    kept = config(checkpoint=(tmp_path / "store" / "unfinished").as_uri())
    abandon(kept, after=3)
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["unfinished"]
    assert not kept.out.with_suffix(".checkpoint").exists()
    assert content(finished(kept, resume=True)) == undisturbed
    assert list((tmp_path / "store").iterdir()) == []


def test_before_the_first_checkpoint_there_is_nothing_to_resume(config):
    abandon(config(), after=1)
    with pytest.raises(TeacherError, match=r"no checkpoint at .*; start without --resume"):
        Pretraining(config(), resume=True)
    assert finished(config()).exists()


def test_a_second_start_does_not_overwrite_a_checkpoint(config):
    abandon(config(), after=2)
    with pytest.raises(TeacherError, match="holds an unfinished meta-training; continue it with"):
        Pretraining(config())
    assert finished(config(), resume=True).exists()


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"meta_iterations": 9}, {"split_seed": 1}, {"hidden": 8}], ids=str
)
def test_a_checkpoint_of_other_settings_is_refused(config, change):
    abandon(config(), after=2)
    (name,) = change
    with pytest.raises(TeacherError, match=rf"other code: its settings \({name}\) changed"):
        Pretraining(config(**change), resume=True)


def test_a_checkpoint_of_an_edited_space_is_refused_by_its_module(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "taught_layers.py").write_text("WIDTH = 8\n")
    (tmp_path / "taught.py").write_text(
        "import taught_layers\n"
        "from gtn_nas.spaces.conv_chain import ConvChain\n"
        "class Taught(ConvChain): pass\n"
    )
    wanted = config(space="taught:Taught")
    abandon(wanted, after=2)
    (tmp_path / "taught_layers.py").write_text("WIDTH = 8  # channels\n")
    assert Pretraining(wanted, resume=True).trainer.iteration == 2
    (tmp_path / "taught_layers.py").write_text("WIDTH = 9\n")
    with pytest.raises(TeacherError, match=r"its search space \(taught_layers\) changed"):
        Pretraining(wanted, resume=True)


def test_an_edit_of_the_code_that_teaches_a_teacher_is_a_change(tmp_path):
    teacher = ("curriculum", "generator", "hypergradient", "inner_loop", "meta_config")
    modules = [
        *(f"gtn_nas.teacher.{name}" for name in (*teacher, "meta_training", "warm_start")),
        *(f"gtn_nas.pretraining.{name}" for name in ("trainer_factory", "learners")),
        "gtn_nas.trial",
    ]
    others = ["gtn_nas.pretraining.memory", "gtn_nas.cli.pretrain"]
    found = changed_by_edits(
        tmp_path,
        [*modules, *others],
        "from gtn_nas.pretraining.pretraining import CODE\n"
        "from gtn_nas.spaces.fingerprint import code_fingerprint",
        "{'code': code_fingerprint(CODE)}",
    )
    for edited, changed in found.items():
        assert changed == {"code": [edited] if edited in modules else []}


def test_a_checkpoint_of_an_earlier_version_is_refused(config):
    wanted = config()
    abandon(wanted, after=2)
    checkpoint = Pretraining(wanted, resume=True).checkpoint
    state = checkpoint.load(torch.device("cpu"))
    checkpoint.save(state | {"identity": json.dumps([{"seed": 0}, 8, "data", "space", None])})
    with pytest.raises(TeacherError, match="was written by an earlier version of gtn-nas"):
        Pretraining(wanted, resume=True)


def test_a_teacher_to_start_from_that_is_not_there_is_refused_at_once(config, tmp_path):
    with pytest.raises(TeacherError, match=r"none\.safetensors is not a readable"):
        Pretraining(config(start=tmp_path / "none.safetensors"))


@pytest.mark.parametrize("how", ["empty", "torn", "text", "artefact", "someone else's"])
def test_a_damaged_checkpoint_is_named(config, how):
    run = Pretraining(config())
    for _ in islice(run.run(), BEFORE + 2):
        pass
    path = Path(run.checkpoint.place)
    if how == "artefact":
        shutil.copy(finished(config("other")), path)
    elif how == "someone else's":
        torch.save(torch.zeros(3), path)
    else:
        content = {"empty": b"", "torn": path.read_bytes()[:900], "text": b"hello\n" * 9}
        path.write_bytes(content[how])
    with pytest.raises(TeacherError, match=r"teacher\.checkpoint is damaged or no checkpoint"):
        Pretraining(config(), resume=True)


# a teacher that learns to rank


@pytest.fixture
def ranking(config, tmp_path, monkeypatch):
    """Make the configuration of a meta-training by forty labels, examined at its second step."""
    monkeypatch.setattr(pretraining, "HELD_OUT_EVERY", 2)
    labels = write_labels(tmp_path / "labels")

    def make(name="teacher", **values):
        own = {"rank_labels": labels, "learners_per_step": 2, "meta_iterations": 3}
        return config(name, **own | values)

    return make


def test_a_teacher_that_learns_to_rank_is_measured_and_ends_as_its_best(ranking):
    run = Pretraining(ranking())
    found = [(p.rank_correlation, run.goal.best) for p in run.run()][BEFORE:]
    (before, none), (correlation, best), (still, _) = found
    assert (before, none) == (None, None)
    assert -1 <= correlation == still == best.correlation <= 1
    after = {name: tensor.clone() for name, tensor in run.trainer.source.state_dict().items()}
    assert any(not torch.equal(after[name], kept) for name, kept in best.teacher.items())
    path, _ = run.finish(learners=1)
    teacher, header = load_teacher(path)
    for name, kept in best.teacher.items():
        assert torch.equal(teacher.state_dict()[name], kept.half().float()), name
    assert header.meta_training["calibration"] == 1
    assert header.meta_training["ranking_weight"] == 0.5


@pytest.mark.parametrize(
    "after", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(3, marks=pytest.mark.slow)]
)
def test_a_resumed_ranking_ends_as_an_undisturbed_one(ranking, after):
    undisturbed = content(finished(ranking("undisturbed")))
    abandon(ranking(), after)
    torch.manual_seed(99)
    resumed = Pretraining(ranking(), resume=None)
    assert (resumed.goal.best is not None) is (after >= 2)
    for _ in resumed.run():
        pass
    assert content(resumed.finish(learners=1)[0]) == undisturbed


def test_the_term_changes_a_teacher(ranking):
    ranked, plain = (finished(ranking(f"{w}", rank_weight=w)) for w in (0.5, 0.0))
    assert content(ranked)[1] != content(plain)[1]


def test_no_held_out_label_is_ever_trained_on(ranking, tmp_path, monkeypatch):
    monkeypatch.setattr(pretraining, "HELD_OUT_EVERY", 1000)
    run = Pretraining(ranking(space=f"{__name__}:Remembering", learners_per_step=10))
    Remembering.built.clear()
    for _ in run.run():
        pass
    learners = Remembering.built[6 * RATES :]  # the first choose the learning rates
    labels = {a.key for a in run.goal.labels.architectures}
    assert len(learners) == 30
    assert {a.key for a in learners} < labels
    assert not any(map(is_held_out, Remembering.built))


def test_other_labels_belong_to_another_meta_training(ranking, tmp_path):
    abandon(ranking(), after=2)
    shutil.rmtree(tmp_path / "labels")
    write_labels(tmp_path / "labels", 39)
    with pytest.raises(TeacherError, match="other data or other code: its labels changed"):
        Pretraining(ranking(), resume=True)


def test_labels_that_cannot_be_learned_from_are_refused_at_once(ranking, tmp_path):
    with pytest.raises(RunFolderError, match="no run folder"):
        Pretraining(ranking(rank_labels=tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="has 0 candidates of nas_bench_201"):
        Pretraining(ranking(space="nas_bench_201"))
    with pytest.raises(ConfigError, match="give it 2 or more --learners-per-step"):
        Pretraining(ranking(learners_per_step=1))


# refusals


def test_a_batch_must_show_every_class(config):
    with pytest.raises(ConfigError, match="--batch-size 9 is smaller than the 10 classes of digit"):
        Pretraining(config(batch_size=9))


@pytest.mark.parametrize("out", ["folder", "teacher.checkpoint"])
def test_a_place_that_no_teacher_can_be_written_to_is_refused_at_once(tmp_path, config, out):
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="must be a file to write"):
        Pretraining(config(out=tmp_path / out))


def test_a_checkpoint_does_not_take_the_teachers_place(tmp_path, config):
    with pytest.raises(ConfigError, match="must be a file to write, and not the checkpoint's"):
        Pretraining(config("same", checkpoint=str(tmp_path / "same.safetensors")))


def test_a_checkpoint_that_cannot_be_written_ends_the_run(tmp_path, config):
    (tmp_path / "file").touch()
    run = Pretraining(config(out=tmp_path / "file" / "teacher.safetensors"))
    with pytest.raises(EnvironmentFailure, match=r"cannot write .*teacher\.checkpoint: "):
        list(run.run())


def test_a_training_that_is_not_finite_ends_and_can_be_looked_at(config):
    run = Pretraining(config(warm_start_steps=0, learning_rate=1e30, meta_iterations=30))
    with pytest.raises(MetaTrainingError, match="10 steps in a row were not finite"):
        list(run.run())
    assert run.checkpoint.exists()


# held-out architectures


class Remembering(ConvChain):
    """Remembers what it built."""

    built: ClassVar = []

    def build(self, architecture, *args):
        self.built.append(architecture)
        return super().build(architecture, *args)


def test_no_held_out_architecture_is_ever_trained_on(config):
    space = f"{__name__}:Remembering"
    few = {"learners_per_step": 10, "meta_iterations": 3, "inner_steps": 1}
    run = Pretraining(config(space=space, **few))
    Remembering.built.clear()
    for _ in run.run():
        pass
    trained = {architecture.key for architecture in Remembering.built}
    assert len(trained) == 30 + 6
    assert not any(map(is_held_out, Remembering.built))
    Remembering.built.clear()
    run.finish(learners=8)
    *calibrated, measured = [
        Remembering.built[i : i + 16] for i in range(0, len(Remembering.built), 16)
    ]
    assert len(measured) == 8
    assert all(map(is_held_out, measured))
    assert not any(is_held_out(architecture) for part in calibrated for architecture in part)


@pytest.mark.parametrize("space", SPACES)
@settings(deadline=None)
@given(seed=seeds, held_out=st.booleans())
def test_a_sample_is_on_the_wanted_side_of_the_rule(space, seed, held_out):
    architecture = sample_architecture(get_space(space), seed, held_out=held_out)
    assert is_held_out(architecture) == held_out
    assert architecture == sample_architecture(get_space(space), seed, held_out=held_out)


class Few(SearchSpace):
    """One network, which is on one side of the rule."""

    name = "few"
    choices = MappingProxyType({"width": (1,)})

    def build(self, architecture, input_shape, num_classes, scale="proxy"):
        return nn.Linear(math.prod(input_shape), num_classes)


@pytest.mark.parametrize("held_out", [True, False])
def test_a_space_with_nothing_on_a_side_gives_what_it_has(held_out):
    space = Few()
    only = space.architecture({"width": 1})
    assert sample_architecture(space, 0, held_out=held_out) == only
    assert holds_any_out(space) == is_held_out(only)


@pytest.mark.parametrize("space", SPACES)
def test_about_one_architecture_in_eight_is_held_out(space):
    rng = random.Random(0)
    held_out = [is_held_out(get_space(space).sample(rng)) for _ in range(2000)]
    assert sum(held_out) / 2000 == pytest.approx(1 / 8, abs=0.03)


def test_a_lesson_is_judged_by_validation_images_and_divergence_counts_as_zero(config):
    digits = load_dataset("digits")
    images, labels = digits.normalise(digits.train.images), digits.train.labels

    def real(rate, steps=12):
        sizes = torch.full((steps,), rate), torch.full((steps,), 0.5)
        rng = torch.Generator().manual_seed(0)
        return real_lesson(images, labels, 32, *sizes, rng)

    sampler = LearnerSampler(get_space("conv_chain"), digits.image_shape, 10, torch.device("cpu"))
    rates = {0: 0.2, 1: 0.2, 2: 1e38}
    accuracies = lesson_accuracies(
        lambda seed: real(rates[seed]), sampler, digits, digits.validation, list(rates)
    )
    assert all(0.3 < accuracy <= 1 for accuracy in accuracies[:2])
    assert accuracies[0] != accuracies[1]
    assert accuracies[2] == 0
