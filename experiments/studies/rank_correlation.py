"""Does the proxy rank architectures as full training does? 60 of ``conv_chain`` on digits.

Truth is the mean test accuracy of three full trainings. The architectures are random, and none was
seen in meta-training. Run with ``python -m experiments.studies.rank_correlation``: trainings that
are in ``tables/rank_truth.csv`` are not repeated, so it can be killed and goes on (about an hour on
one core from nothing).
"""

from __future__ import annotations

from functools import partial
from itertools import combinations

import numpy as np
import torch
from scipy.stats import kendalltau, spearmanr
from torch import nn

from experiments.shared.common import Table, bootstrap, machine, markdown
from experiments.studies.digits_teacher import Study, tune
from gtn_nas.architecture import Architecture
from gtn_nas.config.search import SearchConfig
from gtn_nas.data import load_dataset
from gtn_nas.data.base import ImageDataset
from gtn_nas.pretraining.learners import sample_architecture
from gtn_nas.proxies.base import ProxyData
from gtn_nas.proxies.gtn import score_after
from gtn_nas.proxies.size import count_flops, count_parameters
from gtn_nas.spaces import get_space
from gtn_nas.training.final import FinalJob, FinalTask, train_final
from gtn_nas.training.train import FinalConfig
from gtn_nas.trial import derived_seed

ARCHITECTURES = 60
TRAININGS = 3
PROXY_SEEDS = 3
TRUTH = "rank_truth"
SCORES = "rank_scores"


def architectures() -> list[Architecture]:
    """Return distinct random architectures that meta-training holds out."""
    space, seed = get_space("conv_chain"), 0
    found: dict[str, Architecture] = {}
    while len(found) < ARCHITECTURES:
        seed += 1
        drawn = sample_architecture(space, derived_seed("rank", seed), held_out=True)
        found.setdefault(drawn.key, drawn)
    return list(found.values())


def train_all(table: Table, dataset: ImageDataset, epochs: int) -> None:
    """Train every architecture with every seed; one row each."""
    task = FinalTask(get_space("conv_chain"), dataset, FinalConfig(epochs=epochs))
    for seed in range(TRAININGS):
        for index, architecture in enumerate(architectures()):
            if table.has(key=architecture.key, seed=seed):
                continue
            job = FinalJob(architecture, index, derived_seed("truth", seed, architecture.key))
            outcome = train_final(task, job)
            trained = outcome.trained
            row = {
                "key": architecture.key,
                "seed": seed,
                "status": outcome.status,
                "test_accuracy": trained.test_accuracy if trained else "",
                "validation_accuracy": trained.validation_accuracy if trained else "",
                "train_s": round(trained.train_s, 2) if trained else "",
                "choices": architecture.to_json(),
            }
            table.add(row)
            print(seed, index, row["key"], row["test_accuracy"], row["train_s"], flush=True)


def score_all() -> None:
    """Score every architecture by the proxy and its controls; one row each and seed."""
    table, study = Table(SCORES), Study()
    missing = [
        (architecture, seed)
        for architecture in architectures()
        for seed in range(PROXY_SEEDS)
        if not table.has(key=architecture.key, seed=seed)
    ]
    if not missing:
        return
    real = study.tuned(*tune(study))
    with torch.no_grad():
        lesson = study.teacher.lesson()
    validation = study.dataset.validation
    data = ProxyData(
        study.dataset.calibration_images(),
        study.dataset.calibration_labels(),
        study.dataset.normalise(validation.images),
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


def _resampled(score: np.ndarray, truth: np.ndarray, chosen: np.ndarray) -> float:
    return spearman(score[chosen], truth[chosen])


def column(table: Table, name: str, seeds: int) -> np.ndarray:
    """Return a column as ``(seeds, architectures)``, in the order of ``architectures``."""
    values = {(row["key"], int(row["seed"])): float(row[name]) for row in table.rows}
    keys = [architecture.key for architecture in architectures()]
    return np.array([[values[key, seed] for key in keys] for seed in range(seeds)])


def report() -> str:
    """Return the table of rank correlations with truth."""
    truths = column(Table(TRUTH), "test_accuracy", TRAININGS)
    truth = truths.mean(0)
    scores = Table(SCORES)
    named = {
        "GTN proxy, accuracy, one seed": column(scores, "gtn_accuracy", PROXY_SEEDS)[0],
        "GTN proxy, accuracy, mean of 3 seeds": column(scores, "gtn_accuracy", PROXY_SEEDS).mean(0),
        "GTN proxy, minus loss, one seed": -column(scores, "gtn_loss", PROXY_SEEDS)[0],
        "GTN proxy, minus loss, mean of 3 seeds": -column(scores, "gtn_loss", PROXY_SEEDS).mean(0),
        "32 real steps, accuracy, one seed": column(scores, "real_accuracy", PROXY_SEEDS)[0],
        "32 real steps, accuracy, mean of 3 seeds": column(
            scores, "real_accuracy", PROXY_SEEDS
        ).mean(0),
        "32 real steps, minus loss, one seed": -column(scores, "real_loss", PROXY_SEEDS)[0],
        "parameters": column(scores, "params", 1)[0],
        "FLOPs": column(scores, "flops", 1)[0],
    }
    half = np.argsort(-truth, kind="stable")[: len(truth) // 2]
    rows = []
    for name, score in named.items():
        low, high = bootstrap(partial(_resampled, score, truth), len(truth))
        tau = kendalltau(score, truth).statistic
        top = spearman(score[half], truth[half])
        interval = f"{low:+.2f} to {high:+.2f}"
        rho = f"{spearman(score, truth):+.2f}"
        rows.append([name, rho, interval, f"{tau:+.2f}", f"{top:+.2f}"])
    pairs = [spearman(truths[a], truths[b]) for a, b in combinations(range(TRAININGS), 2)]
    single = float(np.mean(pairs))
    # Spearman-Brown: how well the mean of three would agree with the mean of three others.
    ceiling = TRAININGS * single / (1 + (TRAININGS - 1) * single)
    table = markdown(
        ["score", "Spearman", "95 % interval", "Kendall", "Spearman, better half"], rows
    )
    return (
        f"{table}\n\nRetest correlation of truth: {single:.2f} between single trainings, "
        f"{ceiling:.2f} expected between means of {TRAININGS} (Spearman-Brown). Truth: mean "
        f"{truth.mean():.2%}, from {truth.min():.2%} to {truth.max():.2%}."
    )


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Return the rank correlation of two vectors."""
    return float(spearmanr(a, b).statistic)


def main() -> None:
    """Train, score, and print the table."""
    torch.set_num_threads(1)
    train_all(Table(TRUTH), load_dataset("digits"), SearchConfig().final_epochs)
    score_all()
    print(machine())
    print(report())


if __name__ == "__main__":
    main()
