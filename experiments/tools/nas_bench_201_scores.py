"""Collects the scores of all development cells in one small table.

Each group of scores comes from a run of ``gtn-nas validate-proxy`` over all cells, which can be
interrupted and continued with ``--resume``. ``python -m experiments.tools.nas_bench_201_scores
NAME=RUN …`` then copies the score and time columns of each run into
``tables/nas_bench_201_scores.parquet``, as ``column@NAME``; a run named ``all`` keeps its columns'
names. Values that the table already has stay, unless the run has the same cell. So runs over
different cells can be added under the same name, one after the other.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from experiments.shared.arguments import parser
from experiments.shared.nas_bench_201 import SCORES
from gtn_nas.proxies.catalogue import EVALUATED, SIZES, columns_of
from gtn_nas.results.query import load_run


def scores_of(folder: Path, name: str) -> pd.DataFrame:
    """Return the score and time columns of a run, indexed by key.

    Args:
        folder: the run folder.
        name: name of the run, which is added to the names of the columns.
    """
    found = load_run(folder).candidates().set_index("key")
    times = [c for c in found.columns if c.endswith("_s") and c not in ("train_s", "eval_s")]
    once = () if name == "all" else SIZES  # taken from the run `all`: equal in every run
    columns = [*columns_of(EVALUATED), *SIZES]
    filled = (c for c in columns if c in found.columns and found[c].notna().any())
    wanted = [c for c in filled if c not in once]
    chosen = found[[*wanted, *times]]
    return chosen if name == "all" else chosen.add_suffix(f"@{name}")


def main() -> None:
    """Add the scores of the named runs to the table."""
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
