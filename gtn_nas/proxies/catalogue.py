"""Every proxy, declared once: the columns it fills, what it needs, what it costs, where it is from.

Everything else reads these declarations: how columns rank, what a search prepares, what
``validate-proxy`` prints, and the help of the command line. Nothing here imports torch, so that a
query of a run can read it quickly. The functions that compute the scores are in the modules that
the declarations name.

To add a proxy that needs no training, write a function of its name in ``zero_cost.py`` and declare
it here. It gets the passes of one untrained network; ``passes.Passes`` says what there is.
To add one that trains the candidate, write a module with a function ``make`` (see ``base.Make``)
and declare it here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from gtn_nas.errors import UnknownNameError

Direction = Literal["higher", "lower"]
"""Which values of a column are better."""


class Need(StrEnum):
    """What a search has to prepare for a proxy."""

    LESSON = "lesson"
    """The teacher's lesson: its synthetic batches and step sizes."""
    UNTRAINED_LESSON = "untrained lesson"
    """The lesson of a teacher with fresh weights and the same step sizes."""
    TRAINING_IMAGES = "training images"
    """All real training images and their labels."""
    IDLE_WORKER = "idle worker"
    """A worker without busy neighbours, so a pass of its own after all candidates."""


@dataclass(frozen=True)
class ProxyInfo:
    """What is known of a proxy without computing it.

    Attributes:
        name: what it is called in a configuration.
        columns: the columns that it fills, each with the values that are better.
        help: what it measures, in a few words.
        source: the paper and section that describe it.
        module: the module of this folder that computes it. Proxies of one module are computed
            together for a candidate.
        helpers: further modules of this folder that its scores depend on.
        cost_column: the column with the seconds that its module takes for a candidate. Empty for
            a proxy that has a pass of its own.
        needs: what a search has to prepare.
        trains: whether it trains the candidate.
        compared: whether ``validate-proxy`` computes it by default.
    """

    name: str
    columns: Mapping[str, Direction]
    help: str
    source: str
    module: str
    helpers: tuple[str, ...] = ()
    cost_column: str = ""
    needs: frozenset[Need] = frozenset()
    trains: bool = False
    compared: bool = True


def _zero_cost(
    name: str, help: str, source: str, summed_as: str = "", direction: Direction = "higher"
) -> ProxyInfo:
    """Declare a proxy that looks at the untrained network; its function is in ``zero_cost.py``."""
    return ProxyInfo(
        name=name,
        columns={name: direction},
        help=help,
        source=f"{source}; summed as in {summed_as}" if summed_as else source,
        module="zero_cost",
        helpers=("passes",),
        cost_column="zero_cost_s",
    )


_GTN = "Such et al. 2019, arXiv 1912.07768, section 4.3"
_ABDELFATTAH = "Abdelfattah et al. 2021, arXiv 2101.08134, section 3.2"

_DECLARED = (
    ProxyInfo(
        name="gtn",
        columns={"proxy_accuracy": "higher", "proxy_loss": "lower", "gtn_drop": "higher"},
        help="a short training on the teacher's lesson",
        source=_GTN,
        module="gtn",
        cost_column="gtn_s",
        needs=frozenset({Need.LESSON}),
        trains=True,
    ),
    ProxyInfo(
        name="gtn_improvement",
        columns={"gtn_improvement": "higher"},
        help="what the last three quarters of the lesson add",
        source=_GTN,
        module="gtn",
        cost_column="gtn_s",
        needs=frozenset({Need.LESSON}),
        trains=True,
        compared=False,
    ),
    ProxyInfo(
        name="gtn_untrained",
        columns={"untrained_accuracy": "higher", "untrained_loss": "lower"},
        help="a control: the lesson of an untrained teacher",
        source=f"{_GTN} (control)",
        module="gtn_untrained",
        helpers=("gtn",),
        cost_column="gtn_untrained_s",
        # Its steps and step sizes are those of the teacher's lesson.
        needs=frozenset({Need.LESSON, Need.UNTRAINED_LESSON}),
        trains=True,
        compared=False,
    ),
    ProxyInfo(
        name="real_steps",
        columns={"real_accuracy": "higher", "real_loss": "lower", "real_training_loss": "lower"},
        help="a control: a short training on real images",
        source=f"{_GTN} (real-data control); the training loss as in Ru et al. 2021, "
        "arXiv 2006.04492, section 3",
        module="real_steps",
        helpers=("gtn",),
        cost_column="real_steps_s",
        needs=frozenset({Need.TRAINING_IMAGES}),
        trains=True,
    ),
    _zero_cost(
        "nwot",
        "how well rectifiers tell images apart",
        "Mellor et al. 2021, arXiv 2006.04647v3, section 3",
    ),
    _zero_cost(
        "jacob_cov",
        "how little the gradients of different images correlate",
        "Mellor et al. 2020, arXiv 2006.04647v1, section 3",
    ),
    _zero_cost(
        "synflow",
        "weights times their gradients, without data",
        "Tanaka et al. 2020, arXiv 2006.05467, section 6",
        summed_as=_ABDELFATTAH,
    ),
    _zero_cost(
        "snip",
        "weights times the gradients of the loss",
        "Lee et al. 2019, arXiv 1810.02340, section 4",
        summed_as=_ABDELFATTAH,
    ),
    _zero_cost("grad_norm", "norm of the gradients of the loss", _ABDELFATTAH),
    _zero_cost(
        "zico",
        "how steady the gradients of the loss are",
        "Li et al. 2023, arXiv 2301.11300, section 3.3",
    ),
    ProxyInfo(
        name="latency",
        columns={"latency_ms": "lower"},
        help="time of a forward pass, measured after all candidates",
        source="measured on the run's own machine",
        module="latency",
        needs=frozenset({Need.IDLE_WORKER}),
    ),
)

PROXIES: Mapping[str, ProxyInfo] = MappingProxyType({info.name: info for info in _DECLARED})
"""All proxies by name, in the order in which a run computes and lists them."""

EVALUATED = tuple(name for name, info in PROXIES.items() if Need.IDLE_WORKER not in info.needs)
"""Names of the proxies that are computed while candidates are evaluated: all but latency."""

ALL = "all"
"""What ``validate-proxy`` takes for the names of ``COMPARED``."""
COMPARED = tuple(name for name in EVALUATED if PROXIES[name].compared)
"""Names of the proxies that it computes by default."""

ZERO_COST = tuple(name for name in EVALUATED if PROXIES[name].module == "zero_cost")
"""Names of the proxies that look at the untrained network."""

LATENCY, LATENCY_MS = "latency", "latency_ms"
"""The proxy that has a pass of its own after all candidates, and its column."""

SIZES = ("params", "flops", "depth")
"""Columns that every candidate has. A larger network ranks first; as an objective it is a cost."""

TIMES = frozenset(
    {
        "train_s",  # of all proxies together
        "eval_s",
        LATENCY_MS,
        *(info.cost_column for info in PROXIES.values() if info.cost_column),
    }
)
"""Columns that hold a time, which depends on the machine. Lower is better."""

DIRECTIONS: Mapping[str, Direction] = MappingProxyType(
    {name: way for info in PROXIES.values() for name, way in info.columns.items()}
    | dict.fromkeys(TIMES, "lower")
)
"""Which values are better, for each column of a proxy and each time."""

_EVERY = ("base", "evaluator", "size")
"""Modules of this folder that the score of every candidate depends on."""


def known(names: Iterable[str], among: Collection[str] = PROXIES) -> list[str]:
    """Return the names, each once.

    Raises:
        UnknownNameError: there is no proxy of that name.
    """
    once = list(dict.fromkeys(names))
    for name in once:
        if name not in among:
            raise UnknownNameError("proxy", name, among)
    return once


def columns_of(names: Iterable[str]) -> list[str]:
    """Return the columns that some proxies fill."""
    return [column for name in names for column in PROXIES[name].columns]


def proxies_of(columns: Iterable[str]) -> list[str]:
    """Return the names of the proxies that fill some columns; sizes and times need none."""
    filled_by = {column: name for name, info in PROXIES.items() for column in info.columns}
    return known(filled_by[column] for column in columns if column in filled_by)


def needs_of(names: Iterable[str]) -> frozenset[Need]:
    """Return what a search has to prepare for some proxies."""
    return frozenset(need for name in names for need in PROXIES[name].needs)


def cost_columns_of(columns: Iterable[str]) -> list[str]:
    """Return the columns with the seconds that it takes to fill some columns, each once."""
    costs = dict.fromkeys(PROXIES[name].cost_column for name in proxies_of(columns))
    return [column for column in costs if column]


def modules_of(names: Iterable[str]) -> set[str]:
    """Return the full names of the modules of this folder that decide the scores of some proxies.

    They include those that seed, build and measure every candidate.
    """
    infos = [PROXIES[name] for name in names]
    modules = {module for info in infos for module in (info.module, *info.helpers)}
    return {f"{__package__}.{module}" for module in modules.union(_EVERY)}


def help_text() -> str:
    """Return all names with what each measures, for the help of the command line."""
    return ", ".join(f"{name} ({info.help})" for name, info in PROXIES.items())
