"""``gtn-nas pretrain``: meta-train a teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gtn_nas.cli.options import ConfigFile, ResumeOrStart, configured, settings

if TYPE_CHECKING:
    from gtn_nas.config.search import SearchConfig
    from gtn_nas.storage.files import Place


@configured("pretrain:PretrainConfig")
def pretrain(
    context: typer.Context,
    config: ConfigFile = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the checkpoint.")] = False,
    resume_or_start: ResumeOrStart = False,
) -> None:
    """Meta-train a teacher on a data set, for learners of a search space."""
    values = settings(context, config)
    _run(values, None if resume_or_start else resume)


def make_teacher_for(config: SearchConfig) -> Place:
    """Meta-train a teacher for a search's data set and search space, with default settings.

    An interrupted meta-training of the same teacher is continued.

    Returns:
        The teacher's path: ``<dataset>-<space>.safetensors`` in the current directory.

    Raises:
        TeacherError: there is such a file already.
    """
    from gtn_nas.config.data import DataConfig

    shared = {name: getattr(config, name) for name in DataConfig.model_fields}
    return _run(shared, resume=None)


def _run(values: dict[str, Any], resume: bool | None) -> Place:
    """Meta-train a teacher, print its accuracy and return its path.

    Args:
        values: the settings.
        resume: whether to continue from the checkpoint; ``None`` continues if there is one.
    """
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
