"""``gtn-nas search`` as a person meets it: what it prints, where, and how it ends."""

import io
import json
import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gtn_nas.config import pretrain as config
from gtn_nas.config.base import PositiveInt
from gtn_nas.config.pretrain import PretrainConfig
from gtn_nas.pretraining import calibration, start
from gtn_nas.results.query import load_run
from gtn_nas.teacher.artifact import read_header

from ..edited_package import copy_package
from ..photos import write_photos
from ..user_spaces import write_space
from .conftest import Main

COMMAND = [sys.executable, "-c", "from gtn_nas.cli.main import main; main()"]


OWN_STRATEGY = """
from pathlib import Path

from gtn_nas import Strategy, Trial

Path("executed").touch()


class Backwards(Strategy):
    def propose(self, rng):
        drawn = [self.space.sample(rng) for _ in range(2)]
        return Trial(drawn[-1], self.budget)

    def tell(self, records):
        pass
"""


@pytest.fixture
def small(tiny_teacher: Path) -> list[object]:
    """Options of a search that takes a second."""
    counts = ["--candidates", 5, "--top-k", 1, "--final-epochs", 2]
    return ["search", "--executor", "inline", "--teacher", tiny_teacher, *counts]


def test_a_search_prints_a_ranking_finals_and_paths(run_main, small):
    code, out, err = run_main(*small, "--out", "run")
    assert code == 0
    best = load_run("run").top(1)[0]
    assert best["key"] in out
    assert "against a ranking by parameters" in out
    assert "validation" in out
    assert f"run/weights/{best['key']}.safetensors" in out
    assert "5/5" in err
    assert Path("run/weights", f"{best['key']}.safetensors").is_file()


def test_objectives_and_limits_can_be_repeated_and_the_front_is_shown(run_main, small):
    goals = ["--rank-by", "proxy_accuracy", "--objective", "params", "--objective", "flops"]
    limits = ["--limit", "params<=20000", "--limit", "flops<=9e9"]
    options = ["--strategy", "optuna", "--sampler", "NSGAIISampler", *goals, *limits]
    code, out, err = run_main(*small, *options, "--candidates", 12, "--out", "run")
    assert code == 0, err
    ranking, front = out.split("Pareto front of proxy_accuracy and params, flops")
    config = load_run("run").config
    assert (config["objectives"], len(config["limits"])) == (["params", "flops"], 2)
    beyond = load_run("run").query(where="params > 20000", columns=["key"])
    rows = load_run("run").query(pareto=["proxy_accuracy", "params", "flops"], columns=["key"])
    assert all(row["key"] in front for row in rows)
    assert beyond
    assert all(row["key"] not in front for row in beyond)
    shown = [line for line in ranking.splitlines() if "beyond a limit" in line]
    assert {line.split()[1] for line in shown} <= {row["key"] for row in beyond}
    code, out, err = run_main("search", "--resume", "--out", "run", "--candidates", 14)
    assert code == 0, err
    assert len(load_run("run").query()) == 14


def test_latencies_are_measured_and_their_front_is_shown(run_main, small):
    goals = ["--rank-by", "proxy_accuracy", "--objective", "latency_ms"]
    options = [*goals, "--latency-batch", 3, "--out", "run"]
    code, out, err = run_main(*small, *options)
    assert code == 0, err
    assert "latencies: 5/5" in err
    ranking, front = out.split("Pareto front of proxy_accuracy and latency_ms")
    assert "latency_ms" in ranking.splitlines()[1]
    code, out, err = run_main("query", "run", "--pareto", "proxy_accuracy,latency_ms")
    assert code == 0, err
    keys = [line.split()[1] for line in out.splitlines()[1:]]
    assert keys
    assert all(key in front for key in keys)


def test_halving_shows_how_far_each_candidate_came(run_main, small):
    options = ["--strategy", "successive_halving", "--candidates", 10, "--out", "run"]
    code, out, err = run_main(*small, *options)
    assert code == 0, err
    assert "steps" in out.splitlines()[1]
    rungs = load_run("run").sql("SELECT budget, count(*) n FROM candidates GROUP BY 1 ORDER BY 1")
    assert [row["budget"] for row in rungs] == [1, 2, 4]
    assert rungs[0]["n"] == 10
    total = sum(row["n"] for row in rungs)
    assert f"{total}/{total}" in err


def test_what_the_predictor_chose_is_told_apart(run_main, small, tmp_path):
    space = write_space(tmp_path, "narrow", "relu", "tanh")
    options = ["--space", space, "--candidates", 16, "--final-epochs", 1, "--out", "run"]
    code, out, err = run_main(*small, *options, "--predictor")
    assert code == 0, err
    assert "chosen by the predictor: 0 of 1 full trainings; it starts after 10" in out
    assert "predicted" not in out
    more = ["search", "--resume", "--space", space, "--out", "run"]
    code, out, err = run_main(*more, "--top-k", 13)
    assert code == 0, err
    (line,) = re.findall("chosen by the predictor: 3 of 13 full trainings; (.+)", out)
    assert re.search(r"Spearman .+ [+-]\d\.\d\d$", line)
    header = next(row for row in out.splitlines() if row.startswith("place"))
    assert header.split()[:5] == ["place", "key", "ranked", "predicted", "validation"]
    rows = load_run("run").sql("SELECT key, predicted_accuracy AS p FROM finals")
    assert all(f"{row['p']:.2%}" in out for row in rows if row["p"] is not None)
    code, out, err = run_main(*more, "--no-predictor")
    assert code == 0, err
    (found,) = load_run("run").sql("SELECT count(*) AS n FROM finals")
    assert f"chosen by the predictor: 3 of {found['n']} full trainings" in out


def test_without_the_predictor_nothing_is_said_of_it(run_main, small):
    assert "predict" not in run_main(*small, "--out", "run")[1]


def test_a_folder_is_chosen_by_default(run_main, small):
    assert run_main(*small)[0] == 0
    (run,) = Path("runs").iterdir()
    assert run.name.startswith("digits-conv_chain-")


def test_a_configuration_file_is_a_run_and_options_override_it(run_main, small):
    Path("run.yaml").write_text("candidates: 3\nseed: 5\ntop_k: 0\n")
    options = [o for o in small if o not in ("--candidates", 5)]
    assert run_main(*options, "--config", "run.yaml", "--seed", 6, "--out", "a")[0] == 0
    config = load_run("a").config
    assert (config["candidates"], config["seed"], config["top_k"]) == (3, 6, 1)
    assert run_main("search", "--config", "a/config.yaml", "--out", "b")[0] == 0
    columns = ["key", "proxy_loss"]
    assert load_run("a").query(columns=columns) == load_run("b").query(columns=columns)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--dataset", "digit"], ["'digit'", "digits"]),
        (["--space", "conv_chian"], ["'conv_chian'", "conv_chain"]),
        (["--space", "nothing:Here"], ["nothing"]),
        (["--strategy", "randon"], ["strategy", "random", "randon"]),
        (["--executor", "dask"], ["executor", "ray", "inline"]),
        (["--rank-by", "proxy_acuracy"], ["proxy_acuracy", "proxy_accuracy"]),
        (["--rank-by", "latency_ms"], ["latency_ms", "--objective latency_ms", "'latency_ms<=5'"]),
        (["--latency-batch", "0"], ["latency_batch", "greater than 0"]),
        (["--sampler", "TPESampler"], ["sampler", "--strategy optuna"]),
        (["--strategy", "optuna", "--sampler", "TPESamplr"], ["TPESamplr", "TPESampler"]),
        (["--objective", "parms"], ["parms", "params"]),
        (["--limit", "params<9"], ["'params<9'", "'params<=100000'"]),
        (["--limit", "parms<=9"], ["parms", "params"]),
        (["--candidates", "-3"], ["candidates", "-3"]),
        (["--workers", "2", "--max-workers", "3"], ["workers", "fixed", "max_workers"]),
        (["--min-workers", "3", "--max-workers", "2"], ["min_workers 3", "max_workers 2"]),
        (["--top-k", "-1"], ["top_k", "-1"]),
        (["--seed", "zero"], ["--seed", "integer"]),
        (["--teacher", "missing.safetensors"], ["missing.safetensors", "pretrain"]),
        (["--split-seed", "4"], ["split seed"]),
        (["--dataset", "folder:photos"], ["photos"]),
        (["--config", "missing.yaml"], ["missing.yaml"]),
        (["--config", "misspelt.yaml"], ["candidate", "candidates"]),
        (["--resume"], ["--out"]),
        (["--resume-or-start"], ["--out"]),
        (["--resume", "--out", "nowhere"], ["nowhere", "not a run"]),
        (["--candidate", "3"], ["--candidate"]),
    ],
)
def test_bad_input_is_named_on_a_line_or_two_and_leaves_nothing(run_main, small, options, names):
    Path("misspelt.yaml").write_text("candidate: 3\n")
    code, out, err = run_main(*small, *options)
    assert code == 2
    assert out == ""
    assert all(name in err for name in names)
    assert "Traceback" not in err
    assert len([line for line in err.splitlines() if line.startswith("error:")]) <= 1
    assert [path.name for path in Path.cwd().iterdir()] == ["misspelt.yaml"]


def test_a_folder_of_damaged_images_is_refused_by_the_file(run_main, small):
    from PIL import Image

    for name in ("cat", "dog"):
        for index in range(6):
            path = Path("photos", name, f"{index}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), index).save(path)
    whole = Path("photos/dog/3.png").read_bytes()
    Path("photos/dog/3.png").write_bytes(whole[: len(whole) // 2])
    code, _, err = run_main(*small, "--dataset", "folder:photos", "--out", "run")
    assert code == 2
    assert "photos/dog/3.png" in err
    assert not Path("run").exists()


def test_the_same_line_begins_a_run_and_continues_it(run_main, small):
    line = [*small, "--out", "run", "--resume-or-start"]
    assert run_main(*line)[0] == 0
    first = load_run("run").query()
    code, _, err = run_main(*line)
    assert code == 0, err
    assert load_run("run").query() == first
    code, _, err = run_main(*line, "--seed", 1)
    assert (code, "cannot change seed" in err) == (2, True)


def test_a_run_is_not_overwritten_and_a_resume_may_not_change_it(run_main, small):
    assert run_main(*small, "--out", "run")[0] == 0
    code, _, err = run_main(*small, "--out", "run")
    assert (code, "--resume" in err) == (2, True)
    code, _, err = run_main("search", "--resume", "--out", "run", "--seed", 1)
    assert (code, "seed: 0 -> 1" in err) == (2, True)
    assert run_main("search", "--resume", "--out", "run", "--candidates", 8)[0] == 0
    assert len(load_run("run").query()) == 8


def test_a_run_is_not_resumed_with_a_space_whose_layers_were_edited(run_main, small, tmp_path):
    space = write_space(tmp_path, "layered", "relu", "tanh")
    file, layers = tmp_path / "layered.py", tmp_path / "layered_parts.py"
    file.write_text(f"{file.read_text()}\ndef late():\n    import layered_parts\n")
    layers.write_text("SLOPE = 0.1\n")
    assert run_main(*small, "--space", space, "--out", "run")[0] == 0
    again = ["search", "--resume", "--space", space, "--out", "run", "--candidates", 7]
    layers.write_text("SLOPE = 0.1  # of negative inputs\n")
    assert run_main(*again)[0] == 0
    layers.write_text("SLOPE = 0.2\n")
    code, _, err = run_main(*again)
    assert code == 2
    assert "its search space (layered_parts) changed since it was started" in err
    layers.write_text("SLOPE = = 0.2\n")
    code, _, err = run_main(*again)
    assert (code, "layered_parts.py, line 1: invalid syntax" in err) == (2, True)


def test_a_run_is_not_resumed_by_a_package_whose_layers_were_edited(tmp_path):
    environment = copy_package(tmp_path)

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, "search", "--out", "run", *map(str, arguments)]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    ranked = ["--proxies", "nwot", "--rank-by", "nwot", "--candidates", 2, "--top-k", 0]
    started = run("--executor", "inline", *ranked)
    assert started.returncode == 0, started.stderr
    layers = tmp_path / "gtn_nas" / "spaces" / "conv_chain_layers.py"
    layers.write_text(layers.read_text().replace("LEAK = 0.1\n", "LEAK = 0.2\n"))
    resumed = run("--resume", "--candidates", 4)
    assert resumed.returncode == 2
    assert "its search space (gtn_nas.spaces.conv_chain_layers) changed" in resumed.stderr
    assert len(load_run(tmp_path / "run").query()) == 2


def test_a_resume_may_let_a_fixed_number_of_workers_grow(run_main, small):
    assert run_main(*small, "--out", "run", "--workers", 2)[0] == 0
    code, _, err = run_main("search", "--resume", "--out", "run", "--max-workers", 3)
    assert code == 0, err
    config = load_run("run").config
    assert (config["workers"], config["min_workers"], config["max_workers"]) == (None, None, 3)
    code, _, err = run_main("search", "--resume", "--out", "run", "--min-workers", 4)
    assert code == 0, err  # whoever names one size of the pool names the whole of it anew
    config = load_run("run").config
    assert (config["workers"], config["min_workers"], config["max_workers"]) == (None, 4, None)


def test_an_address_where_nothing_listens_is_said_at_once(tmp_path, small):
    """In a process of its own: one that is connected to Ray would go on with that."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    options = [o for o in small if o not in ("--executor", "inline")]
    done = search_process(tmp_path, *options[1:], "--address", address, "--out", "run")
    assert done.returncode == 1
    assert address in done.stderr
    assert not (tmp_path / "run").exists()


def search_process(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [*COMMAND, "search", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize(
    ("act", "code"),
    [("kill", -9), ("interrupt", 130), pytest.param("terminate", 143, marks=pytest.mark.slow)],
)
def test_a_search_that_is_ended_goes_on_where_it_was(tmp_path, small, run_main, act, code):
    space = write_space(tmp_path, f"own_{act}", "relu", act)
    size = ["--space", space, "--candidates", 16, "--out", "run"]
    ended = search_process(tmp_path, *small[1:], *size)
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    told = re.findall("what was evaluated is kept; go on with: gtn-nas search (.+)", ended.stderr)
    assert len(told) == (act != "kill")
    before = load_run(tmp_path / "run").query(columns=["key", "created_at"])
    assert len(before) < 16

    refused = search_process(tmp_path, "--resume", "--out", "run")
    assert refused.returncode == 2
    assert f"--space {space}" in refused.stderr

    command = told[0] if told else f"--resume --out run --space {space}"
    again = search_process(tmp_path, *shlex.split(command))
    assert again.returncode == 0, again.stderr
    after = load_run(tmp_path / "run").query(columns=["key", "created_at"])
    assert len({row["key"] for row in after}) == len(after) == 16
    assert all(row in after for row in before)


def test_a_strategy_of_ones_own_is_executed_only_where_it_is_named(run_main, small):
    Path("backwards.py").write_text(OWN_STRATEGY)
    chosen = ["--strategy", "backwards:Backwards"]
    code, _, err = run_main(*small, *chosen, "--out", "run")
    assert code == 0, err
    run = load_run("run")
    assert run.config["strategy"] == "backwards:Backwards"
    before = run.query(columns=["key"])
    Path("executed").unlink()
    del sys.modules["backwards"]
    code, _, err = run_main("search", "--resume", "--out", "run", "--candidates", 7)
    assert code == 2
    assert "this run's strategy is the module 'backwards:Backwards'" in err
    assert "--strategy backwards:Backwards" in err
    assert run_main("status", "run")[0] == 0
    assert not Path("executed").exists()
    code, _, err = run_main("search", "--resume", "--out", "run", "--candidates", 7, *chosen)
    assert code == 0, err
    after = load_run("run").query(columns=["key"])
    assert len(after) == 7
    assert {row["key"] for row in before} < {row["key"] for row in after}
    code, _, err = run_main("search", "--resume", "--out", "run", "--strategy", "random")
    assert (code, "strategy: backwards:Backwards -> random" in err) == (2, True)


def test_an_interrupted_search_says_how_its_own_strategy_is_named_again(tmp_path, small):
    (tmp_path / "backwards.py").write_text(OWN_STRATEGY.replace("pass", "raise KeyboardInterrupt"))
    options = ["--strategy", "backwards:Backwards", "--out", "run"]
    ended = search_process(tmp_path, *small[1:], *options)
    assert ended.returncode == 130
    again = "gtn-nas search --resume --out run --strategy backwards:Backwards"
    assert f"go on with: {again}" in ended.stderr
    command = [*COMMAND, "status", "run"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert again in " ".join(told.stdout.split())


def test_the_main_job_runs_on_a_private_ray_with_a_space_of_ones_own(tmp_path, small):
    space = write_space(tmp_path, "own_ray", "relu", "fail", "kill")
    options = [o for o in small if o not in ("--executor", "inline")]
    done = search_process(
        tmp_path, *options[1:], "--space", space, "--candidates", 24, "--out", "r"
    )
    assert done.returncode == 0, done.stderr
    rows = load_run(tmp_path / "r").query(columns=["status", "worker", "choices", "attempt"])
    assert len(rows) == 24
    acts = {json.loads(row["choices"])["act"]: row["status"] for row in rows}
    assert acts == {"relu": "ok", "fail": "failed", "kill": "ok"}
    failed = len([row for row in rows if row["status"] == "failed"])
    assert re.search(rf"24/24 .+ workers? \d+% busy  {failed} failed", done.stderr)
    assert re.search(r"INFO run=r worker_joined worker=ray-\w+ node=\w+: ", done.stderr)
    assert re.search(r"WARNING run=r key=\w{16} failed: ValueError: cannot be", done.stderr)
    assert re.search(r"INFO run=r key=\w{16} requeued worker=ray-", done.stderr)
    kinds = load_run(tmp_path / "r").sql("SELECT DISTINCT kind FROM events")
    assert {"worker_joined", "worker_left", "requeued"} <= {row["kind"] for row in kinds}
    assert max(row["attempt"] for row in rows) == 2
    assert all(row["worker"].startswith("ray-") for row in rows)
    (final,) = load_run(tmp_path / "r").sql("SELECT status, test_accuracy FROM finals")
    assert final["status"] == "ok"


# without a teacher that fits


class Tiny(PretrainConfig):
    """A meta-training whose default settings take seconds."""

    inner_steps: PositiveInt = 2
    batch_size: PositiveInt = 4
    meta_iterations: PositiveInt = 1
    warm_start_steps: int = 3
    hidden: PositiveInt = 16
    channels: PositiveInt = 8


class Terminal(io.StringIO):
    """Someone who types; at the end of what there is to read, Ctrl-D."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def photos(run_main: Main, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Options of a small search of images that no teacher that ships was made for."""
    monkeypatch.setattr(config, "PretrainConfig", Tiny)
    monkeypatch.setattr(start, "START_RATES", (0.8,))
    monkeypatch.setattr(calibration, "RATE_SCALES", ())
    data = ["--dataset", write_photos(Path("my photos"), side=12)]
    counts = ["--candidates", 2, "--top-k", 0]
    return ["search", "--executor", "inline", *data, *counts, "--out", "run"]


NO_TEACHER = "error: no teacher that ships fits folder:my photos (split seed 0); make one with "


def test_without_a_terminal_the_command_that_makes_a_teacher_is_told(run_main, photos):
    code, out, err = run_main(*photos)
    assert (code, out) == (2, "")
    assert err.startswith(NO_TEACHER)
    assert err.count("\n") == 1
    assert not Path("run").exists()


@pytest.mark.parametrize("options", [[], ["--image-size", 8, "--split-seed", 4]], ids=str)
def test_the_told_command_makes_a_teacher_that_fits(run_main, photos, options):
    _, _, err = run_main(*photos, *options)
    command, *arguments = shlex.split(re.search("`(.+)`", err)[1])
    assert command == "gtn-nas"
    assert run_main(*arguments)[0] == 0
    code, _, err = run_main(*photos, *options, "--teacher", "my-teacher.safetensors")
    assert code == 0, err


@pytest.mark.parametrize("answer", ["n\n", "\n", ""], ids=["no", "nothing", "Ctrl-D"])
def test_who_declines_a_teacher_is_told_the_command(run_main, photos, monkeypatch, answer):
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    code, _, err = run_main(*photos)
    assert code == 2
    assert "Make it now? [y/N]:" in err
    assert NO_TEACHER.removeprefix("error: ") in err
    assert "Traceback" not in err
    assert [path.name for path in Path.cwd().iterdir()] == ["my photos"]


def test_who_agrees_gets_a_teacher_and_the_search(run_main, photos, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    code, _, err = run_main(*photos, "--image-size", 8, "--split-seed", 4, "--seed", 7)
    assert code == 0, err
    teacher = Path("folder_my photos-conv_chain.safetensors")
    header = read_header(teacher)
    assert (header.image_shape, header.split_seed, header.seed) == ((3, 8, 8), 4, 7)
    assert header.inner_steps == Tiny().inner_steps
    run = load_run("run")
    assert run.config["teacher"] == str(teacher)
    assert len(run.query()) == 2
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    assert run_main("search", "--resume", "--out", "run", "--candidates", 3)[0] == 0
