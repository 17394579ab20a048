"""``gtn-nas pretrain``: meta-train a teacher."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gtn_nas.cli.options import (
    Address,
    BatchSize,
    ConfigFile,
    CpusPerWorker,
    DataDir,
    Dataset,
    GpusPerWorker,
    ImageSize,
    ResumeOrStart,
    Seed,
    Space,
    SplitSeed,
    settings,
)

if TYPE_CHECKING:
    from gtn_nas.config.search import SearchConfig
    from gtn_nas.storage.files import Place


def pretrain(
    config: ConfigFile = None,
    dataset: Dataset = None,
    data_dir: DataDir = None,
    image_size: ImageSize = None,
    space: Space = None,
    split_seed: SplitSeed = None,
    seed: Seed = None,
    inner_steps: Annotated[int | None, typer.Option(help="Batches in the lesson (T).")] = None,
    batch_size: BatchSize = None,
    meta_iterations: Annotated[int | None, typer.Option(help="Outer steps.")] = None,
    curriculum: Annotated[
        str | None,
        typer.Option(
            help="full, shuffled_batch, all_shuffled, none; or a control: fixed_noise, pixels, "
            "real_data. [default: full]"
        ),
    ] = None,
    learners_per_step: Annotated[
        int | None, typer.Option(help="Learners whose meta-gradients are averaged.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Outer learning rate.")] = None,
    real_images: Annotated[
        int | None,
        typer.Option(help="Real images that judge a learner in an outer step. [default: 2048]"),
    ] = None,
    window: Annotated[
        int | None, typer.Option(help="Inner steps that are differentiated. [default: half]")
    ] = None,
    hidden: Annotated[int | None, typer.Option(help="Units of the first layer.")] = None,
    channels: Annotated[int | None, typer.Option(help="Channels of the smallest map.")] = None,
    noise_dim: Annotated[int | None, typer.Option(help="Length of a noise vector.")] = None,
    soft_labels: Annotated[
        bool | None,
        typer.Option("--soft-labels/--hard-labels", help="Learn labels too. [default: soft]"),
    ] = None,
    augment: Annotated[
        bool | None,
        typer.Option(
            "--augment/--no-augment",
            help="Distort half of the real images. [default: below 20,000 training images]",
        ),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(help="A teacher's artefact to go on from, at a third of the rates."),
    ] = None,
    warm_start_steps: Annotated[
        int | None,
        typer.Option(help="Steps of drawing real images before meta-training. [default: 800]"),
    ] = None,
    rank_labels: Annotated[
        Path | None,
        typer.Option(help="A run whose candidates the teacher learns to rank."),
    ] = None,
    rank_column: Annotated[
        str | None, typer.Option(help="Its column that counts as truth. [default: real_loss]")
    ] = None,
    rank_weight: Annotated[
        float | None, typer.Option(help="Of the ranking term. [default: 0.5]")
    ] = None,
    rank_sharpness: Annotated[
        float | None,
        typer.Option(help="How small a difference of losses counts as much. [default: 40]"),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Ray workers that share a step's learners. [default: none, no Ray]"),
    ] = None,
    cpus_per_worker: CpusPerWorker = None,
    gpus_per_worker: GpusPerWorker = None,
    address: Address = None,
    max_hours: Annotated[
        float | None, typer.Option(help="Refuse to start what is estimated to take longer.")
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(help="Path or object-store URI of the checkpoint. [default: beside --out]"),
    ] = None,
    out: Annotated[str | None, typer.Option(help="Path or URI of the artefact.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the checkpoint.")] = False,
    resume_or_start: ResumeOrStart = False,
) -> None:
    """Meta-train a teacher on a data set, for learners of a search space."""
    values = settings(config, locals())
    _run(values, None if resume_or_start else resume)


def make_teacher_for(config: SearchConfig) -> Place:
    """Meta-train a teacher for a search's data and space with default settings.

    Returns:
        The artefact's path: ``<dataset>-<space>.safetensors`` here. A meta-training of it that was
        interrupted is continued.

    Raises:
        TeacherError: there is such a file already.
    """
    from gtn_nas.config.data import DataConfig

    shared = {name: getattr(config, name) for name in DataConfig.model_fields}
    return _run(shared, resume=None)


def _run(values: dict[str, Any], resume: bool | None) -> Place:
    """Meta-train and tell the result; ``resume=None`` continues where there is a checkpoint."""
    from gtn_nas.cli.progress import StageProgress
    from gtn_nas.config.base import parse
    from gtn_nas.config.local_inputs import require_inputs
    from gtn_nas.config.pretrain import PretrainConfig

    config = parse(PretrainConfig, values)
    require_inputs(config)

    from gtn_nas.pretraining.learners import holds_any_out
    from gtn_nas.pretraining.pretraining import Pretraining

    pretraining = Pretraining(config, resume=resume)
    with StageProgress() as shown:
        if pretraining.trainer.iteration == 0:
            shown.say(f"meta-training needs {pretraining.estimate()}")
        for progress in pretraining.run():
            text = f"loss {progress.loss:.3f}"
            if progress.held_out_accuracy is not None:
                text += f"  held-out learners {progress.held_out_accuracy:.1%}"
            if progress.rank_correlation is not None:
                text += f"  rank correlation {progress.rank_correlation:+.2f}"
            shown.update(progress.stage, progress.done, progress.total, text)
        if pretraining.trainer.skipped:
            shown.say(f"{pretraining.trainer.skipped} steps were not finite and were skipped")
        shown.say("calibrating and measuring")
        path, accuracy = pretraining.finish()
        if not holds_any_out(pretraining.space):
            shown.say("the space is too small to hold any out: learners are those it trained with")
    typer.echo(f"{path}: held-out learners reach {accuracy:.1%} on validation images")
    return path
