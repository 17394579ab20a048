"""``gtn-nas spaces``, ``strategies``, ``datasets`` and ``teachers``: list what is offered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def spaces() -> None:
    """List the search spaces."""
    from gtn_nas.spaces import SPACES

    rows = [*SPACES.items(), ("MODULE:CLASS", "a subclass of gtn_nas.SearchSpace of your own")]
    _table(("search space", "what it is"), rows)


def strategies() -> None:
    """List the search strategies."""
    from gtn_nas.strategies import STRATEGIES

    rows = [*STRATEGIES.items(), ("MODULE:CLASS", "a subclass of gtn_nas.Strategy of your own")]
    _table(("strategy", "what it does"), rows)


def datasets() -> None:
    """List the data sets."""
    from gtn_nas.data import DATASETS

    _table(("data set", "what it is"), DATASETS.items())


def teachers() -> None:
    """List the teachers that come with the package."""
    from gtn_nas.teacher.artifact import read_header, shipped_teachers

    rows = []
    for name, path in shipped_teachers().items():
        h = read_header(path)
        accuracy = "-" if h.validation_accuracy is None else f"{h.validation_accuracy:.1%}"
        shape = " x ".join(map(str, h.image_shape))
        lesson = f"{h.inner_steps} x {h.batch_size}"
        known = {} if h.ranking is None else h.ranking.spearman
        ranks = f"{known['proxy_loss'][0]:+.2f}" if "proxy_loss" in known else "-"
        classes = str(len(h.classes))
        rows.append((name, h.dataset, h.space, shape, classes, lesson, accuracy, ranks))
    columns = ("teacher", "data set", "space", "image", "classes", "steps x images")
    _table((*columns, "held-out learners' accuracy", "its loss ranks at"), rows)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich.table import Table

    from gtn_nas.cli.output import table_console

    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*row)
    table_console().print(table)
