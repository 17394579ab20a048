"""Makes the proxies that were asked for, each by the module that the catalogue names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module

from gtn_nas.proxies.base import Make, Proxy, ProxySettings, Tensors
from gtn_nas.proxies.catalogue import EVALUATED, PROXIES, columns_of, known


@dataclass(frozen=True)
class ProxyGroup:
    """Proxies of one module, which are computed together.

    Attributes:
        names: those that were asked for.
        compute: scores a candidate by all of them.
    """

    names: tuple[str, ...]
    compute: Proxy

    @property
    def columns(self) -> list[str]:
        """The columns that were asked for. ``compute`` may fill others of its module too."""
        return columns_of(self.names)

    @property
    def cost_column(self) -> str:
        """The column for the seconds that ``compute`` takes."""
        return PROXIES[self.names[0]].cost_column


def make_proxies(
    names: Iterable[str], settings: ProxySettings, tensors: Tensors
) -> list[ProxyGroup]:
    """Make proxies from what workers share, in the order of the catalogue.

    Raises:
        UnknownNameError: there is no proxy of that name that is computed with the others.
    """
    wanted = known(names, EVALUATED)
    by_module: dict[str, list[str]] = {}
    for name in EVALUATED:
        if name in wanted:
            by_module.setdefault(PROXIES[name].module, []).append(name)
    return [
        ProxyGroup(tuple(group), _make(module)(group, settings, tensors))
        for module, group in by_module.items()
    ]


def _make(module: str) -> Make:
    found: Make = import_module(f"{__package__}.{module}").make
    return found
