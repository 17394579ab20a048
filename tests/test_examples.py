"""The worked examples, run as a user runs them; ``spaces/test_conformance.py`` checks the space."""

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from gtn_nas.results.query import load_run
from gtn_nas.spaces import get_space

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
MAIN = "from gtn_nas.cli.main import main; main()"
SPEC = "examples.own_space:MobileChain"


def test_a_space_of_ones_own_is_searched_from_the_command_line(tmp_path, tiny_teacher):
    (told,) = re.findall(r"`gtn-nas (search --space examples\S+)`", README)
    small = f"--executor inline --teacher {tiny_teacher} --candidates 4 --top-k 1 --final-epochs 1"
    command = [*told.split(), *small.split(), "--out", str(tmp_path / "run")]
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *command],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    run, space = load_run(tmp_path / "run"), get_space(SPEC)
    rows = run.query(columns=["status", "space", "choices", "key"])
    assert [(row["status"], row["space"]) for row in rows] == [("ok", "mobile_chain")] * 4
    assert all(space.architecture(json.loads(row["choices"])).key == row["key"] for row in rows)
    (final,) = run.sql("SELECT status, test_accuracy FROM finals")
    assert final["status"] == "ok"


def test_chains_that_differ_in_where_they_skip_are_one_network():
    space = get_space(SPEC)
    every = itertools.product(*space.choices.values())
    chains = [dict(zip(space.choices, kinds, strict=True)) for kinds in every]
    assert len(chains) == 6_561
    # A half has 0 to 4 blocks, each of 2 kinds.
    assert len({space.architecture(chain).key for chain in chains}) == (1 + 2 + 4 + 8 + 16) ** 2
