"""Gathers the scores of all development cells into one small table.

Each group of scores is a run of ``gtn-nas validate-proxy`` over all cells, which can be killed and
goes on with ``--resume``. ``python -m experiments.tools.nas_bench_201_scores NAME=RUN …`` then
takes the columns of each run into ``tables/nas_bench_201_scores.parquet``, as ``column@NAME``; a
run named ``all`` keeps its columns' names. What was taken before stays, but for cells that the run
knows too: a name may be given to runs over different cells, one after the other.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from experiments.shared.arguments import parser
from experiments.shared.nas_bench_201 import SCORES
from gtn_nas.proxies.catalogue import EVALUATED, SIZES, columns_of
from gtn_nas.results.query import load_run


def scores_of(folder: Path, name: str) -> pd.DataFrame:
    """Return the score and time columns of a run, indexed by key."""
    found = load_run(folder).candidates().set_index("key")
    times = [c for c in found.columns if c.endswith("_s") and c not in ("train_s", "eval_s")]
    once = () if name == "all" else SIZES  # which are the same in every run
    columns = [*columns_of(EVALUATED), *SIZES]
    filled = (c for c in columns if c in found.columns and found[c].notna().any())
    wanted = [c for c in filled if c not in once]
    chosen = found[[*wanted, *times]]
    return chosen if name == "all" else chosen.add_suffix(f"@{name}")


def main() -> None:
    """Take the runs that are named."""
    arguments = parser(__doc__)
    arguments.add_argument("runs", nargs="+", metavar="NAME=RUN")
    table = pd.read_parquet(SCORES) if SCORES.exists() else pd.DataFrame()
    for given in arguments.parse_args().runs:
        name, folder = given.split("=", 1)
        taken = scores_of(Path(folder), name)
        table = taken.combine_first(table)[list(dict.fromkeys([*table.columns, *taken.columns]))]
        print(f"{name}: {len(taken)} cells, {', '.join(taken.columns)}")
    for column in table.columns:
        if table[column].dtype == "float64":
            table[column] = table[column].astype("float32")
    table.sort_index().to_parquet(SCORES, compression="zstd")
    print(f"{SCORES}: {len(table)} cells, {SCORES.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
