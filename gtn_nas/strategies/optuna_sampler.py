"""Optuna's samplers as strategies; Optuna is imported only when such a strategy is made."""

from __future__ import annotations

import inspect
import math
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gtn_nas.architecture import Choice
from gtn_nas.errors import ConfigError, UnknownNameError, one_line
from gtn_nas.strategies.base import Strategy, StrategyContext
from gtn_nas.trial import Record, Trial

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler

DEFAULT = "TPESampler"

UNSUITED = frozenset({"BruteForceSampler"})
"""Samplers that stop a study themselves, which is possible only in Optuna's own loop."""

REHEARSAL = 3
"""Trials after which a sampler that lacks a package or cannot take objectives has failed."""


class OptunaSampler(Strategy):
    """Proposes architectures that one of Optuna's samplers suggests.

    Source: Akiba et al. 2019, arXiv 1907.10902; Optuna's documentation names each sampler's source.

    The sampler suggests every choice of the space, active or not, so that all trials of the study
    have the same parameters; the proposed architecture is the canonical one. A parameter is the
    index of an option: options that are ascending numbers form an ordered range, all others are
    categories.

    The study is kept in memory. Each ask uses a new sampler, seeded by the ask. Proposed trials
    without a record are running trials of the study. A record ends all running trials of its
    architecture; a record without one is added as a trial. Limits become Optuna's constraints,
    which the Random, QMC and CMA-ES samplers ignore. A record that lacks one of its losses is a
    failed trial.

    Args:
        context: the search's context; its ``sampler`` is a name in ``optuna.samplers``.

    Raises:
        UnknownNameError: there is no such sampler, or it needs more arguments than a seed.
        ConfigError: the sampler cannot be used here; the message says why.
    """

    takes_sampler = True

    def __init__(self, context: StrategyContext) -> None:
        super().__init__(context)
        sampler, choices = context.sampler or DEFAULT, context.space.choices
        self._make = _sampler_named(sampler)
        self._distributions = {name: _distribution(options) for name, options in choices.items()}
        self._rehearse(sampler, context.objectives)
        self._study = self._new_study(context.objectives)
        self._open: dict[str, list[optuna.Trial]] = {}

    def tell(self, records: Sequence[Record]) -> None:
        """End every running Optuna trial of each record's architecture."""
        for record in records:
            losses = self.context.losses(record)  # once a record: it remembers earlier calls
            for trial in self._open.pop(record.key, None) or [self._given(record)]:
                self._answer(trial, record, losses)

    def propose(self, rng: random.Random) -> Trial:
        """Return the architecture of the sampler's next suggestion."""
        self._study.sampler = self._seeded(rng.getrandbits(31))
        trial = self._study.ask(self._distributions)
        chosen = {n: options[trial.params[n]] for n, options in self.space.choices.items()}
        architecture = self.space.architecture(chosen)
        self._open.setdefault(architecture.key, []).append(trial)
        return Trial(architecture, self.budget)

    def _answer(self, trial: optuna.Trial, record: Record, losses: Sequence[float | None]) -> None:
        from optuna.trial import TrialState

        values = [loss for loss in losses if loss is not None]
        violations = self.context.violations(record)
        if len(values) < len(self._study.directions) or not all(map(math.isfinite, violations)):
            self._study.tell(trial, state=TrialState.FAIL)
            return
        for index, violation in enumerate(violations):
            trial.set_constraint(str(index), violation)
        self._study.tell(trial, values)

    def _given(self, record: Record) -> optuna.Trial:
        """Add a trial to the study for a record that this strategy did not ask for.

        Choices that the canonical form dropped are drawn at random, seeded by the record's key: if
        one trial lacked them, samplers would no longer see them as common to all trials.
        """
        rng, known = random.Random(record.key), record.architecture.choices
        params = {}
        for name, options in self.space.choices.items():
            drawn = rng.randrange(len(options))
            params[name] = list(options).index(known[name]) if name in known else drawn
        self._study.enqueue_trial(params)
        return self._study.ask(self._distributions)

    def _seeded(self, seed: int) -> BaseSampler:
        with _quiet():
            return self._make(seed)

    def _new_study(self, objectives: int) -> optuna.Study:
        import optuna

        with _quiet():
            return optuna.create_study(
                sampler=self._seeded(0), directions=["minimize"] * objectives
            )

    def _rehearse(self, name: str, objectives: int) -> None:
        """Try the sampler on a study that is thrown away, to find out whether it works here."""
        try:
            study = self._new_study(objectives)
            for value in range(REHEARSAL):
                study.tell(study.ask(self._distributions), [float(value)] * objectives)
        except Exception as error:  # a sampler may raise anything
            raise ConfigError(
                f"Optuna's {name} cannot be used here ({one_line(error)}); choose another --sampler"
            ) from error


def _sampler_named(name: str) -> Callable[[int], BaseSampler]:
    """Return a function that makes the named sampler from a seed.

    Raises:
        UnknownNameError: there is no such sampler, or it needs more arguments than a seed.
    """
    from optuna import samplers

    known: dict[str, Callable[..., BaseSampler]] = {}
    for candidate in set(samplers.__all__) - UNSUITED:
        found = getattr(samplers, candidate)
        if not inspect.isclass(found) or not issubclass(found, samplers.BaseSampler):
            continue
        parameters = inspect.signature(found).parameters
        needed = [p for p in parameters.values() if p.default is p.empty]
        if "seed" in parameters and not needed:
            known[candidate] = found
    if name not in known:
        raise UnknownNameError("Optuna sampler", name, known)
    return lambda seed: known[name](seed=seed)


def _distribution(options: Sequence[Choice]) -> BaseDistribution:
    """Return the Optuna distribution of the index of one of the options."""
    from optuna.distributions import CategoricalDistribution, IntDistribution

    numbers = [o for o in options if isinstance(o, int | float) and not isinstance(o, bool)]
    if len(numbers) == len(options) and numbers == sorted(set(numbers)):
        return IntDistribution(0, len(options) - 1)
    return CategoricalDistribution(range(len(options)))


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress Optuna's log lines about studies, and its warnings of experimental samplers."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
