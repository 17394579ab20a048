"""``gtn-nas validate-proxy``: measure how well each proxy ranks architectures of known accuracy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gtn_nas.cli.options import ConfigFile, Resume, ResumeOrStart, configured, settings
from gtn_nas.cli.search import asked, continues

if TYPE_CHECKING:
    from rich.table import Table

    from gtn_nas.config.validate import ValidateConfig
    from gtn_nas.ranking.statistics import Interval
    from gtn_nas.validation.validation import Findings


@configured("validate:ValidateConfig")
def validate_proxy(
    context: typer.Context,
    config: ConfigFile = None,
    into_teacher: Annotated[
        bool, typer.Option("--into-teacher", help="Write what was found into the teacher's header.")
    ] = False,
    resume: Resume = False,
    resume_or_start: ResumeOrStart = False,
) -> None:
    """Tell how well each proxy ranks architectures, beside a table of truth or full trainings."""
    values = settings(context, config)
    resume = continues(values) if resume_or_start else resume
    wanted = _asked(values, resume, into_teacher)

    from gtn_nas.cli.output import table_console
    from gtn_nas.cli.search_display import SearchDisplay
    from gtn_nas.validation.validation import Validation

    validation = Validation(wanted, resume=resume)
    search = validation.search
    with SearchDisplay(search.folder, search.config, "validate-proxy") as display:
        findings = validation.run(display.update)
    out_console = table_console()
    out_console.print(_table(findings))
    for line in _remarks(findings):
        out_console.print(line, soft_wrap=True)
    if into_teacher:
        out_console.print(f"written into {validation.tell_teacher(findings)}", soft_wrap=True)


def _asked(values: dict[str, Any], resume: bool, into_teacher: bool) -> ValidateConfig:
    """Return the configuration, see ``search.asked``, after checking ``--into-teacher``."""
    from gtn_nas.config.validate import ValidateConfig
    from gtn_nas.errors import ConfigError

    config = asked(values, ValidateConfig, resume)
    if into_teacher and (config.teacher is None or not Path(config.teacher).is_file()):
        raise ConfigError("--into-teacher needs the file to write into: --teacher FILE")
    return config


def _table(findings: Findings) -> Table:
    from rich.table import Table

    heads = (
        "Spearman",
        "better half",
        "Kendall",
        "better half",
        "nDCG@10",
        "top 10 %",
        "regret@10",
    )
    table = Table("score", *heads, "s each", box=None, pad_edge=False)
    table.title = f"{findings.count} architectures against {findings.truth} (95 % intervals)"
    table.title_justify = "left"
    for found in findings.scores:
        seconds = "-" if found.seconds is None else f"{found.seconds:.2f}"
        table.add_row(str(found.score), *(_cell(n, i) for n, i in found.measures.items()), seconds)
    return table


def _cell(measure: str, found: Interval) -> str:
    """Return a value with its interval as text; a regret is shown in percentage points."""
    scale = 100 if measure == "regret_10" else 1
    value, low, high = (scale * number for number in (found.value, found.low, found.high))
    return f"{value:.2f} ({low:.2f} to {high:.2f})"


def _remarks(findings: Findings) -> list[str]:
    from gtn_nas.validation.validation import FIGURE, TABLE

    lines = []
    if findings.merged:
        lines.append(f"{findings.merged} rows of the table are left out: an earlier one is equal")
    by_name = {str(s.score): s.measures["spearman"].value for s in findings.scores}
    losing = [
        n for n, found in by_name.items() if n.startswith("proxy_") and found < by_name["params"]
    ]
    if losing:
        lines.append(
            f"warning: {' and '.join(losing)} rank no better here than the number of parameters "
            "does, which costs nothing (--rank-by params)"
        )
    lines.append(f"table: {findings.folder / TABLE}   figure: {findings.folder / FIGURE}")
    return lines
