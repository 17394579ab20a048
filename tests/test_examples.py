"""The worked examples, run as a user runs them.

Each keeps the rules: ``test_conformance.py`` in ``spaces/`` and ``strategies/`` checks that.
"""

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from examples.own_strategy import HillClimbing
from gtn_nas.results.query import load_run
from gtn_nas.spaces import get_space
from gtn_nas.testing.strategies import context, finish, score

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
MAIN = "from gtn_nas.cli.main import main; main()"
SPEC = "examples.own_space:MobileChain"


def run_as_told(option, folder, *more):
    """Run the README's search with an example, made small."""
    (told,) = re.findall(rf"`gtn-nas (search {option} examples\S+)`", README)
    small = ["--executor", "inline", "--top-k", "1", "--final-epochs", "1"]
    command = [*told.split(), *small, *map(str, more), "--out", str(folder)]
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *command],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return load_run(folder)


def test_a_space_of_ones_own_is_searched_from_the_command_line(tmp_path, tiny_teacher):
    run = run_as_told("--space", tmp_path / "run", "--teacher", tiny_teacher, "--candidates", 4)
    space = get_space(SPEC)
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


def test_a_strategy_of_ones_own_searches_from_the_command_line(tmp_path):
    run = run_as_told(
        "--strategy", tmp_path / "run", "--proxies", "", "--rank-by", "params", "--candidates", 40
    )
    columns = ["key", "parent_key", "params", "ask_index"]
    rows = sorted(run.query(columns=columns), key=lambda row: row["ask_index"])
    assert len(rows) == 40
    params = {row["key"]: row["params"] for row in rows}
    children = [row for row in rows if row["parent_key"] is not None]
    assert len(children) > 20
    assert all(row["parent_key"] in params for row in children)
    # The larger network ranks first here, so a climb leads to larger and larger ones.
    start = rows[0]["params"]
    assert max(params[row["parent_key"]] for row in children) > start
    last = [params[row["parent_key"]] for row in children[-5:]]
    assert min(last) > start


def test_a_climb_that_gains_nothing_ends_and_another_begins():
    strategy = HillClimbing(context(0), patience=5)
    starts, climbed = 0, 0
    for _ in range(300):
        (trial,) = strategy.ask(1)
        starts += trial.parent_key is None
        climbed = max(climbed, score(trial.architecture))
        strategy.tell([finish(trial)])
    assert 3 < starts < 60
    assert climbed > 0.8
