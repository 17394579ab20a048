"""Does the proxy rank architectures as full training does? 60 of ``conv_chain`` on digits.

The truth is the mean test accuracy of three full trainings, from ``tables/digits_truth.csv``, which
``experiments.tools.digits_truth`` makes. Run with ``python -m
experiments.studies.rank_correlation``; it can be interrupted and started again, since it skips what
is already in its table.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from experiments.shared.arguments import parser
from experiments.shared.conv_chain_truth import TRAININGS, agreement, architectures, column
from experiments.shared.digits import Digits
from experiments.shared.machine import machine
from experiments.shared.tables import Table, markdown
from gtn_nas.architecture import Architecture
from gtn_nas.proxies.base import ProxyData
from gtn_nas.proxies.gtn import score_after
from gtn_nas.proxies.size import count_flops, count_parameters
from gtn_nas.ranking.statistics import MEASURES, spearman, with_interval
from gtn_nas.spaces import get_space
from gtn_nas.trial import derived_seed

PROXY_SEEDS = 3


def score_all(table: Table) -> None:
    """Score every architecture by the proxy and its controls; add a row for each and each seed.

    Scores that are already in the table are skipped.
    """
    missing = [
        (architecture, seed)
        for architecture in architectures()
        for seed in range(PROXY_SEEDS)
        if not table.has(key=architecture.key, seed=seed)
    ]
    if not missing:
        return
    digits = Digits()
    real = digits.real_batches(*digits.tuned())
    with torch.no_grad():
        lesson = digits.teacher.lesson()
    dataset, validation = digits.dataset, digits.dataset.validation
    data = ProxyData(
        dataset.calibration_images(),
        dataset.calibration_labels(),
        dataset.normalise(validation.images),
        validation.labels,
    )
    for architecture, seed in missing:
        weights_seed = derived_seed("proxy", seed, architecture.key)

        def build(architecture: Architecture = architecture, seed: int = weights_seed) -> nn.Module:
            torch.manual_seed(seed)
            return get_space("conv_chain").build(architecture, (1, 8, 8), 10, "proxy")

        gtn = score_after(build(), lesson, data)
        control = score_after(build(), real(weights_seed), data)
        table.add(
            {
                "key": architecture.key,
                "seed": seed,
                "gtn_accuracy": gtn.columns["proxy_accuracy"],
                "gtn_loss": gtn.columns["proxy_loss"],
                "real_accuracy": control.columns["proxy_accuracy"],
                "real_loss": control.columns["proxy_loss"],
                "gtn_s": round(gtn.train_s + gtn.eval_s, 4),
                "params": count_parameters(build()),
                "flops": count_flops(build(), (1, 8, 8)),
            }
        )


def report(truths: np.ndarray, scores: Table) -> str:
    """Return the text with the rank correlations of all scores with the truth.

    Args:
        truths: test accuracies of the full trainings, ``(trainings, n)``.
        scores: the table filled by ``score_all``.
    """
    by_seed = {
        "GTN proxy, accuracy": column(scores, "gtn_accuracy", PROXY_SEEDS),
        "GTN proxy, minus loss": -column(scores, "gtn_loss", PROXY_SEEDS),
        "32 real steps, accuracy": column(scores, "real_accuracy", PROXY_SEEDS),
        "32 real steps, minus loss": -column(scores, "real_loss", PROXY_SEEDS),
    }
    named = {}
    for name, values in by_seed.items():
        named[f"{name}, one seed"] = values[0]
        named[f"{name}, mean of {PROXY_SEEDS} seeds"] = values.mean(0)
    named["parameters"] = column(scores, "params", 1)[0]
    named["FLOPs"] = column(scores, "flops", 1)[0]
    truth, rows = truths.mean(0), []
    for name, score in named.items():
        found = with_interval(spearman, score, truth)
        others = (MEASURES[m](score, truth) for m in ("kendall", "spearman_better_half"))
        interval = f"{found.low:+.2f} to {found.high:+.2f}"
        rows.append([name, f"{found.value:+.2f}", interval, *(f"{v:+.2f}" for v in others)])
    single = agreement(truths)
    # Spearman-Brown: the expected correlation of the mean of three with that of three others.
    ceiling = TRAININGS * single / (1 + (TRAININGS - 1) * single)
    table = markdown(
        ["score", "Spearman", "95 % interval", "Kendall", "Spearman, better half"], rows
    )
    return (
        f"{table}\n\nRetest correlation of truth: {single:.2f} between single trainings, "
        f"{ceiling:.2f} expected between means of {TRAININGS} (Spearman-Brown). Truth: mean "
        f"{truth.mean():.2%}, from {truth.min():.2%} to {truth.max():.2%}."
    )


def main() -> None:
    """Score the architectures that are not in the table yet, and print the table."""
    parser(__doc__).parse_args()
    torch.set_num_threads(1)
    table = Table("rank_correlation")
    score_all(table)
    print(machine())
    print(report(column(Table("digits_truth"), "test_accuracy"), table))


if __name__ == "__main__":
    main()
