import re
import signal
import sys
from typing import ClassVar

import pytest
import yaml

from gtn_nas.cli.main import main
from gtn_nas.config.base import parse
from gtn_nas.config.search import SearchConfig
from gtn_nas.config.yaml_file import read_yaml
from gtn_nas.pretraining import pretraining, start
from gtn_nas.pretraining.estimate import LEARNERS
from gtn_nas.spaces.conv_chain import ConvChain
from gtn_nas.teacher.artifact import load_teacher

TINY = {
    "batch_size": 10,
    "inner_steps": 2,
    "meta_iterations": 4,
    "warm_start_steps": 3,
    "hidden": 16,
    "channels": 8,
    "noise_dim": 4,
}


class Interrupting(ConvChain):
    """Presses Ctrl-C in the middle of a meta-training."""

    learners_left: ClassVar = [0]

    def build(self, *args):
        self.learners_left[0] -= 1
        if self.learners_left[0] == 0:
            signal.raise_signal(signal.SIGINT)
        return super().build(*args)


@pytest.fixture
def pretrain(tmp_path, monkeypatch, capsys):
    """Run the command on a tiny configuration; return its exit code, stdout and stderr."""
    monkeypatch.setattr(pretraining, "CHECKPOINT_EVERY", 1)
    monkeypatch.setattr(start, "START_RATES", (0.8,))
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY))

    def run(*options, name="teacher"):
        places = ["--config", tmp_path / "tiny.yaml", "--out", tmp_path / f"{name}.safetensors"]
        arguments = ["gtn-nas", "pretrain", *places, *options]
        monkeypatch.setattr(sys, "argv", [*map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, *capsys.readouterr()

    return run


def test_a_teacher_is_written_and_its_accuracy_told(pretrain, tmp_path):
    code, out, err = pretrain()
    assert code == 0
    path = tmp_path / "teacher.safetensors"
    told = re.fullmatch(
        rf"{re.escape(str(path))}: held-out learners reach (.+)% on validation images\n", out
    )
    _, header = load_teacher(path)
    assert float(told[1]) == pytest.approx(100 * header.validation_accuracy, abs=0.051)
    assert re.match(r"meta-training needs about .+ and \d+\.\d GB \(.+ GB are free\)\n", err)
    assert "warm start" in err
    assert "4/4" in err
    assert not path.with_suffix(".checkpoint").exists()


def test_options_override_the_file(pretrain, tmp_path):
    options = ["--batch-size", "12", "--hard-labels", "--seed", "5", "--split-seed", "2"]
    code, _, _ = pretrain(*options, "--window", "1", "--learning-rate", "0.002")
    assert code == 0
    _, header = load_teacher(tmp_path / "teacher.safetensors")
    assert (header.batch_size, header.soft_labels, header.seed, header.split_seed) == (
        12,
        False,
        5,
        2,
    )
    assert (header.meta_training["window"], header.meta_training["learning_rate"]) == (1, 0.002)
    assert (header.inner_steps, header.generator["hidden"]) == (2, 16)


def test_the_control_on_real_batches_leaves_settings_and_no_teacher(pretrain, tmp_path):
    code, out, _ = pretrain("--curriculum", "real_data")
    assert code == 0
    assert re.fullmatch(r".*teacher\.yaml: held-out learners reach .+% on validation images\n", out)
    assert {path.name for path in tmp_path.iterdir()} == {"tiny.yaml", "teacher.yaml"}
    config = parse(SearchConfig, read_yaml(tmp_path / "teacher.yaml"))
    assert config.real_steps == len(config.real_learning_rate) == len(config.real_momentum) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--batch-sizes", "3"], "No such option: --batch-sizes"),
        (["--batch-size", "-3"], "batch_size: input should be greater than 0 (got -3)"),
        (["--batch-size", "3"], "--batch-size 3 is smaller than the 10 classes of digits"),
        (["--inner-steps", "0"], "inner_steps: input should be greater than 0 (got 0)"),
        (["--seed", "-1"], "seed: input should be greater than or equal to 0 (got -1)"),
        (["--learning-rate", "fast"], "Invalid value for '--learning-rate'"),
        (
            ["--curriculum", "half"],
            "curriculum: input should be 'full', 'shuffled_batch', 'all_shuffled', 'none', ",
        ),
        (["--dataset", "digit"], "unknown data set 'digit'; did you mean digits?"),
        (["--space", "conv-chain"], "unknown search space 'conv-chain'; did you mean conv_chain?"),
        (["--resume"], "teacher.checkpoint; start without --resume"),
        (["--max-hours", "1e-9"], "more than --max-hours 1e-09; lower --meta-iterations"),
        (["--checkpoint", "s3://me:hush@bucket/key"], "must not carry credentials"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_told_in_a_line(pretrain, tmp_path, options, said):
    code, out, err = pretrain(*options)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


def test_a_misspelt_setting_of_the_file_is_told(pretrain, tmp_path):
    (tmp_path / "tiny.yaml").write_text("inner_step: 3")
    code, _, err = pretrain()
    assert code == 2
    assert err == "error: unknown setting 'inner_step'; did you mean 'inner_steps'?\n"


def test_a_place_that_cannot_be_written_is_told_with_exit_code_1(pretrain, tmp_path):
    code, out, err = pretrain("--out", tmp_path / "tiny.yaml" / "teacher.safetensors")
    assert (code, out) == (1, "")
    last = err.splitlines()[-1]
    assert last.startswith(f"error: cannot write {tmp_path / 'tiny.yaml' / 'teacher.checkpoint'}: ")
    assert "Traceback" not in err


def test_an_interrupted_run_can_be_resumed_and_ends_as_if_nothing_had_been(pretrain, tmp_path):
    space = ["--space", f"{__name__}:Interrupting"]
    assert pretrain(*space, name="undisturbed")[0] == 0

    # Those that estimate the memory, the time, and choose the learning rates come first.
    Interrupting.learners_left[0] = LEARNERS + (LEARNERS + 1) + 6 + 3
    code, out, err = pretrain(*space)
    assert (code, out) == (130, "")
    assert err.endswith("error: interrupted\n")
    assert "Traceback" not in err
    assert (tmp_path / "teacher.checkpoint").exists()

    code, _, err = pretrain(*space)
    assert code == 2
    assert "holds an unfinished meta-training; continue it with --resume" in err

    assert pretrain(*space, "--resume-or-start")[0] == 0
    wanted, header = load_teacher(tmp_path / "undisturbed.safetensors")
    resumed, same_header = load_teacher(tmp_path / "teacher.safetensors")
    assert same_header == header
    pairs = zip(resumed.parameters(), wanted.parameters(), strict=True)
    assert all((one == other).all() for one, other in pairs)
