"""``gtn-nas export`` as a person meets it; what is exported is ``tests/export``'s concern."""

import signal
import subprocess
import sys

import pytest

from gtn_nas import SearchConfig, load_run, search

from ..user_spaces import write_space

MAIN = "from gtn_nas.cli.main import main; main()"
SMALL = {"candidates": 2, "proxies": (), "final_epochs": 1, "executor": "inline"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    search(SearchConfig(top_k=1, out=str(out), **SMALL))
    return out


def test_it_says_what_was_exported_and_where(run_main, run, tmp_path):
    code, out, err = run_main("export", run, "--to", "taken home")
    assert (code, err) == (0, "")
    (final,) = load_run(run).sql("SELECT key, test_accuracy FROM finals")
    assert f"{final['key']}, place 1 of its run" in out
    assert f"{final['test_accuracy']:.2%} on test images" in out
    assert out.count("loaded by a fresh process, the same logits") == 2
    assert f"exported to {tmp_path / 'taken home'}" in out
    assert (tmp_path / "taken home" / "model.py").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "a", "--rank", 2], "has 1 fully trained network, so there is no rank 2"),
        (["--to", "a", "--rank", 1, "--key", "x"], "--rank and --key name a network twice"),
        (["--to", "a", "--key", "x"], "unknown key of a fully trained network 'x'"),
        (["--to", "a", "--formats", "tflite"], "unknown format 'tflite'"),
        (["--to", "a", "--space", "mine:Space"], "search space is conv_chain, not mine:Space"),
        (["--to", "s3://bucket/a"], "--to is a folder on this machine"),
        ([], "Missing option '--to'"),
    ],
)
def test_bad_input_is_one_line(run_main, run, tmp_path, arguments, said):
    code, out, err = run_main("export", run, *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_whoever_ends_it_finds_nothing_half_made(run, tmp_path, number, code):
    to = tmp_path / "home"
    command = [sys.executable, "-c", MAIN, "export", str(run), "--to", str(to)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not list(tmp_path.glob(".home.*.tmp/*")):
            pass
        process.send_signal(number)
        _, err = process.communicate()
    assert process.returncode == code, err
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_run_is_refused(run_main, tmp_path):
    assert "there is no run folder nowhere" in run_main("export", "nowhere", "--to", "a")[2]
    assert "is not a run" in run_main("export", tmp_path, "--to", "a")[2]


def test_a_module_is_not_imported_unless_it_is_named_again(run_main, tmp_path):
    spec = write_space(tmp_path, "home_space", "relu")
    (tmp_path / "home_space.py").open("a").write("print('imported')\n")
    out = tmp_path / "run"
    search(SearchConfig(space=spec, top_k=1, rank_by="params", out=str(out), **SMALL))
    code, out_text, err = run_main("export", out, "--to", "a")
    assert (code, out_text) == (2, "imported\n")  # by the search
    assert f"name it again to allow that: --space {spec}" in err


def test_what_cannot_be_exported_ends_with_one(run_main, run, tmp_path, monkeypatch):
    (tmp_path / "space_of_hooks.py").write_text(
        "from gtn_nas.spaces.conv_chain import ConvChain\n"
        "class Hooked(ConvChain):\n"
        "    def build(self, *arguments):\n"
        "        network = super().build(*arguments)\n"
        "        network.register_forward_hook(lambda layer, given, found: found + 1)\n"
        "        return network\n"
    )
    config = run / "config.yaml"
    before = config.read_text()
    config.write_text(before.replace("space: conv_chain", "space: space_of_hooks:Hooked"))
    code, _, err = run_main("export", run, "--to", "a", "--space", "space_of_hooks:Hooked")
    config.write_text(before)
    assert code == 1
    assert "error: the exported pytorch does not answer as the trained network does" in err
    assert not (tmp_path / "a").exists()
