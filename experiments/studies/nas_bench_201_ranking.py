"""How well does every score rank NAS-Bench-201's cells? Beside each other, at equal cost.

``python -m experiments.studies.nas_bench_201_ranking --truth cells_dev.csv`` reads the table of
scores and prints the report part; ``--part tune`` that on which choices are made, ``--part all``
both. Intervals are bootstraps over distinct cells, differences are paired.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from experiments.shared.common import machine, markdown
from experiments.shared.nas_bench_201 import TRUTH, Cells, Values, data_argument
from gtn_nas.ranking.score import Score
from gtn_nas.ranking.statistics import MEASURES, Interval, difference, with_interval

SHOWN = {
    "spearman": "Spearman",
    "spearman_better_half": "better half",
    "kendall": "Kendall",
    "ndcg_10": "nDCG@10",
    "precision_10_percent": "top 10 %",
    "regret_10": "regret@10, points",
}
SINGLE = (
    "params",
    "flops",
    "depth",
    "nwot",
    "synflow",
    "jacob_cov",
    "snip",
    "grad_norm",
    "zico",
    "real_accuracy@real32-0",
    "real_loss@real32-0",
    "real_loss@real32-?",
    "untrained_loss@gtn-0",
    "proxy_accuracy@gtn-0",
    "proxy_loss@gtn-0",
    "gtn_drop@gtn-0",
    "gtn_improvement@gtn-0",
    "proxy_loss@gtn-?",
    "proxy_accuracy@alike-0",
    "proxy_loss@alike-0",
    "proxy_accuracy@alike-?",
    "proxy_loss@alike-?",
    "jacob_cov@alike",
    "proxy_loss@accurate-0",
    "real_loss@real128-?",
    "real_loss@real320-?",
)
SETS = (
    "jacob_cov+params",
    "jacob_cov*params",
    "nwot+synflow+params",
    "nwot+synflow+jacob_cov",
    "jacob_cov*params*real_loss@real32-0",
    "jacob_cov*params*proxy_loss@gtn-0",
    "jacob_cov*params*proxy_loss@accurate-0",
    "jacob_cov@alike*params",
    "jacob_cov@alike*params*proxy_loss@alike-0",
    "jacob_cov@alike*params*proxy_loss@alike-?",
    "jacob_cov@alike*params*synflow",
    "jacob_cov@alike*params*synflow*proxy_loss@alike-?",
)
PAIRS = (
    ("proxy_loss@gtn-0", "real_loss@real32-0"),
    ("proxy_loss@gtn-?", "real_loss@real32-?"),
    ("proxy_loss@gtn-?", "params"),
    ("jacob_cov*params", "jacob_cov+params"),
    ("jacob_cov*params*proxy_loss@gtn-0", "jacob_cov*params"),
    ("jacob_cov*params*real_loss@real32-0", "jacob_cov*params"),
    ("proxy_loss@gtn-0", "proxy_loss@accurate-0"),
    ("proxy_loss@alike-0", "proxy_loss@gtn-0"),
    ("proxy_loss@alike-0", "real_loss@real32-0"),
    ("proxy_loss@alike-?", "proxy_loss@alike-0"),
    ("proxy_loss@alike-?", "real_loss@real32-?"),
    ("proxy_loss@alike-?", "params"),
    ("jacob_cov@alike*params", "jacob_cov*params"),
    ("jacob_cov@alike*params*proxy_loss@alike-?", "jacob_cov@alike*params"),
    *(
        ("jacob_cov@alike*params*synflow*proxy_loss@alike-?", other)
        for other in (
            "jacob_cov@alike*params*proxy_loss@alike-?",
            "jacob_cov@alike*params*synflow",
            "jacob_cov@alike*params",
            "params",
        )
    ),
)

KNOWN_SHARE = 0.9
"""Cells that must have a score; some are not there since a cell diverged or has no path."""


def main() -> None:
    """Print the tables of scores and of differences."""
    parser = data_argument(__doc__)
    parser.add_argument("--part", choices=("report", "tune", "all"), default="report")
    parser.add_argument("--scores", nargs="+", help="other scores than those of the tables")
    parser.add_argument("--known", help="leave out cells without this column")
    parser.add_argument("--column", default=TRUTH, help="what counts as truth")
    given = parser.parse_args()
    cells = Cells.load(given.truth)
    part = {"report": cells.report, "tune": cells.tune, "all": cells}[given.part]
    if given.known:
        part = Cells(part.frame[part.frame[given.known].notna()])
    print(f"{machine()}; {len(part.frame)} cells, {given.part}, truth {given.column}\n")
    truth = part.truth(given.column)
    print(ranking(part, truth, given.scores or [s for s in (*SINGLE, *SETS) if has(part, s)]))
    if not given.scores:
        print()
        print(differences(part, truth, [p for p in PAIRS if all(has(part, s) for s in p)]))


def has(cells: Cells, score: str) -> bool:
    """Tell whether all parts of a score were computed, for nearly all of these cells."""
    known = cells.frame.notna().mean() > KNOWN_SHARE
    columns = Score.parse(score).columns
    parts = [fnmatch.filter(cells.frame.columns, column) for column in columns]
    return all(part and known[part].all() for part in parts)


def ranking(cells: Cells, truth: Values, scores: Sequence[str]) -> str:
    """Return a row for each score, with intervals."""
    rows = []
    for name in scores:
        values = cells.score(name)
        found = (with_interval(MEASURES[m], values, truth) for m in SHOWN)
        rows.append([f"`{name}`", *(f"{i.value:.3f} ({i.low:.3f} to {i.high:.3f})" for i in found)])
    return markdown(["score", *SHOWN.values()], rows)


def differences(cells: Cells, truth: Values, pairs: Sequence[tuple[str, str]]) -> str:
    """Return by how much one score exceeds another, on the same resamples."""

    def cell(measure: str, pair: tuple[str, str]) -> str:
        a, b = (cells.score(name) for name in pair)
        found: Interval = difference(MEASURES[measure], a, b, truth)
        return f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})"

    measures = ("spearman", "spearman_better_half")
    rows = [[f"`{a}` over `{b}`", *(cell(m, (a, b)) for m in measures)] for a, b in pairs]
    return markdown(["difference", "Spearman", "better half"], rows)


if __name__ == "__main__":
    main()
