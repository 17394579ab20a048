"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="YAML file of settings; options override it.")
]
Dataset = Annotated[
    str | None, typer.Option(help="Data set; `gtn-nas datasets` lists them. [default: digits]")
]
DataDir = Annotated[Path | None, typer.Option(help="Where downloaded data sets are kept.")]
ImageSize = Annotated[
    int | None, typer.Option(help="Side that a folder's images are resized to, in pixels.")
]
Space = Annotated[
    str | None, typer.Option(help="Search space, or module:Class. [default: conv_chain]")
]
SplitSeed = Annotated[int | None, typer.Option(help="Seed of the data split. [default: 0]")]
Seed = Annotated[int | None, typer.Option(help="Seed of everything else. [default: 0]")]
BatchSize = Annotated[int | None, typer.Option(help="Images in a synthetic batch (B).")]
CpusPerWorker = Annotated[
    float | None, typer.Option(help="CPUs, and so threads, of a worker. [default: 1]")
]
GpusPerWorker = Annotated[
    float | None, typer.Option(help="GPUs of a worker; fractions share one. [default: 0]")
]
Address = Annotated[
    str | None,
    typer.Option(help="Ray cluster, HOST:PORT. [default: RAY_ADDRESS, else a private one]"),
]
Teacher = Annotated[
    str | None,
    typer.Option(help="A shipped teacher or an artefact's path. [default: one that fits]"),
]
RunFolder = Annotated[
    str | None,
    typer.Option(
        help="Run folder, or a URI like s3://bucket/runs/x. "
        "[default: runs/<dataset>-<space>-<time>]"
    ),
]
ExecutorName = Annotated[
    str | None, typer.Option(help="ray, or inline: one process, no Ray. [default: ray]")
]
Workers = Annotated[
    int | None, typer.Option(help="A fixed number of Ray workers. [default: as many as fit]")
]
MinWorkers = Annotated[
    int | None, typer.Option(help="The fewest that a search goes on with for long. [default: 1]")
]
MaxWorkers = Annotated[
    int | None,
    typer.Option(help="The most; an autoscaling cluster grows for them. [default: as many as fit]"),
]
TimeoutS = Annotated[
    float | None, typer.Option(help="Seconds a candidate may take. [default: 300]")
]
FinalEpochs = Annotated[int | None, typer.Option(help="Epochs of a full training. [default: 60]")]
ProxySeeds = Annotated[
    int | None,
    typer.Option(
        help="Initialisations that trained scores are the mean of. [default: 1, or 3 where a "
        "teacher ranks by default]"
    ),
]
RealSteps = Annotated[
    int | None, typer.Option(help="Batches of the proxy real_steps. [default: 32]")
]
ResumeOrStart = Annotated[
    bool,
    typer.Option(
        "--resume-or-start",
        help="Continue what is in --out, or start it: for commands that are repeated unattended.",
    ),
]
RankBy = Annotated[
    str | None,
    typer.Option(
        help="Column that ranks, or several by the mean of their ranks, e.g. proxy_loss+nwot, or "
        "by the geometric mean, e.g. 'nwot*params'. [default: jacob_cov*params, and "
        "*synflow*proxy_loss where the teacher was found to rank]"
    ),
]


def settings(file: Path | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Merge a configuration file with the options that were given.

    Args:
        file: YAML file, if any.
        options: a command's local variables; ``None`` means not given.
    """
    from gtn_nas.config.yaml_file import read_yaml

    values = read_yaml(file) if file else {}
    modes = {"config", "resume", "resume_or_start"}
    return values | {n: v for n, v in options.items() if v is not None and n not in modes}
