"""How well does every score rank NAS-Bench-201's cells? Beside each other, at equal cost.

``python -m experiments.studies.nas_bench_201_ranking --truth cells_dev.csv`` reads the table of
scores and prints the report part; ``--part tune`` that on which choices are made, ``--part all``
both. Intervals are bootstraps over distinct cells, differences are paired.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping

from experiments.shared.machine import machine
from experiments.shared.nas_bench_201 import TRUTH, Cells, Values, data_argument
from experiments.shared.tables import Table, markdown, with_ends
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
COMPARED = {name: SHOWN[name] for name in ("spearman", "spearman_better_half")}
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

Found = Mapping[str, Interval]
"""What was measured of a score, or of the difference of two, by the name of the measure."""

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
    truth, table = part.truth(given.column), Table("nas_bench_201_ranking")
    about = {"part": given.part, "known": given.known or "", "truth": given.column}
    scores = given.scores or [score for score in (*SINGLE, *SETS) if has(part, score)]
    ranked = {(name, ""): ranking(part, truth, name) for name in scores}
    keep(table, about, ranked)
    print(printed(ranked, "score", SHOWN))
    if not given.scores:
        pairs = [pair for pair in PAIRS if all(has(part, score) for score in pair)]
        apart = {pair: differences(part, truth, pair) for pair in pairs}
        keep(table, about, apart)
        print()
        print(printed(apart, "difference", COMPARED))


def has(cells: Cells, score: str) -> bool:
    """Tell whether all parts of a score were computed, for nearly all of these cells."""
    known = cells.frame.notna().mean() > KNOWN_SHARE
    columns = Score.parse(score).columns
    parts = [fnmatch.filter(cells.frame.columns, column) for column in columns]
    return all(part and known[part].all() for part in parts)


def ranking(cells: Cells, truth: Values, score: str) -> Found:
    """Return every measure of a score, with its interval."""
    values = cells.score(score)
    return {name: with_interval(MEASURES[name], values, truth) for name in SHOWN}


def differences(cells: Cells, truth: Values, pair: tuple[str, str]) -> Found:
    """Return by how much the first score exceeds the second, on the same resamples."""
    a, b = (cells.score(name) for name in pair)
    return {name: difference(MEASURES[name], a, b, truth) for name in COMPARED}


def keep(table: Table, about: Mapping[str, str], found: Mapping[tuple[str, str], Found]) -> None:
    """Put what was found into the table, a row for each score, or pair of scores, and measure."""
    for (score, over), intervals in found.items():
        own = {**about, "score": score, "over": over}
        rows = [
            {
                **own,
                "measure": name,
                "value": f"{i.value:.4f}",
                "low": f"{i.low:.4f}",
                "high": f"{i.high:.4f}",
            }
            for name, i in intervals.items()
        ]
        table.replace(rows, **own)


def printed(found: Mapping[tuple[str, str], Found], head: str, measures: Mapping[str, str]) -> str:
    """Return the table as Markdown; differences carry their sign."""
    rows = []
    for (score, over), intervals in found.items():
        name, form = (f"`{score}` over `{over}`", "+.3f") if over else (f"`{score}`", ".3f")
        rows.append([name, *(with_ends(i, form) for i in intervals.values())])
    return markdown([head, *measures.values()], rows)


if __name__ == "__main__":
    main()
