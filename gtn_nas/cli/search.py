"""``gtn-nas search``: rank candidates and train the best fully."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from gtn_nas.cli import pretrain
from gtn_nas.cli.options import ConfigFile, Resume, ResumeOrStart, configured, settings

if TYPE_CHECKING:
    from gtn_nas.config.search import SearchConfig
    from gtn_nas.searching.search import Search

C = TypeVar("C", bound="SearchConfig")


@configured("search:SearchConfig")
def search(
    context: typer.Context,
    config: ConfigFile = None,
    resume: Resume = False,
    resume_or_start: ResumeOrStart = False,
) -> None:
    """Rank candidates by a teacher's lesson, and train the best fully on real data."""
    values = settings(context, config)

    from gtn_nas.cli.search_display import SearchDisplay
    from gtn_nas.config.search import SearchConfig

    resume = continues(values) if resume_or_start else resume
    run = _prepared(asked(values, SearchConfig, resume), resume)
    wanted = run.config
    with SearchDisplay(run.folder, wanted) as display:
        result = run.run(display.update)
    display.show(result, run.goals, run.evaluation.teacher)


def _prepared(config: SearchConfig, resume: bool) -> Search:
    """Return a search whose settings were checked.

    If no teacher fits and stdin is a terminal, offer to meta-train one.
    """
    from gtn_nas.errors import NoTeacherError
    from gtn_nas.searching.search import Search

    try:
        return Search(config, resume=resume)
    except NoTeacherError as error:
        if not sys.stdin.isatty():
            raise
        typer.echo(f"{error}", err=True)
        if not _agrees("Make it now?"):
            raise typer.Exit(error.exit_code) from error
        teacher = pretrain.make_teacher_for(config)
        return Search(config.model_copy(update={"teacher": str(teacher)}), resume=resume)


def _agrees(question: str) -> bool:
    """Ask a yes-or-no question; Ctrl-D or Ctrl-C counts as no."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        return False


def continues(values: dict[str, Any]) -> bool:
    """Tell whether the run folder ``out`` holds a run to continue.

    Args:
        values: the settings given now.

    Raises:
        ConfigError: ``out`` is missing.
    """
    from gtn_nas.errors import ConfigError
    from gtn_nas.results.layout import is_run
    from gtn_nas.storage.files import place_of

    if "out" not in values:
        raise ConfigError("--resume-or-start needs the run folder: --out RUN")
    return is_run(place_of(values["out"]))


def asked(values: dict[str, Any], kind: type[C], resume: bool) -> C:
    """Return the configuration, after checking that the files that it names exist.

    Args:
        values: the settings given now.
        kind: class of the configuration.
        resume: whether to start from the run's stored configuration.

    Raises:
        ConfigError: a setting is wrong, or names a file that is missing.
    """
    from gtn_nas.config.base import parse
    from gtn_nas.config.local_inputs import require_inputs

    config = _resumed(values, kind) if resume else parse(kind, values)
    require_inputs(config)
    return config


def _resumed(values: dict[str, Any], kind: type[C]) -> C:
    """Return the run's stored configuration, overridden by the settings given now.

    Args:
        values: the settings given now.
        kind: class of the configuration.

    Raises:
        ConfigError: ``out`` is missing, or the run's search space or strategy is a module that was
            not named again (a run folder from somebody else must not make us execute their code).
    """
    from gtn_nas.config.base import parse
    from gtn_nas.config.class_registry import own_modules
    from gtn_nas.errors import ConfigError
    from gtn_nas.searching.search import stored_config
    from gtn_nas.storage.files import place_of

    if "out" not in values:
        raise ConfigError("--resume needs the run folder: --out RUN")
    stored = stored_config(place_of(values["out"]), kind)
    sizes = {"workers", "min_workers", "max_workers"}  # giving one of them resets all three
    before = stored.model_dump(exclude=sizes if sizes & values.keys() else None)
    for name, spec in own_modules(before).items():
        if name not in values:
            what = {"space": "search space"}.get(name, name)
            raise ConfigError(
                f"this run's {what} is the module {spec!r}, which would be executed; "
                f"name it again to allow that: --{name} {spec}"
            )
    return parse(kind, before | values)
