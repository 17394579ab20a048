"""Check that a strategy keeps the rules that a search relies on.

The candidates come from the search space ``conv_chain``. They are not trained: a candidate's score
is the sum of its widths.
"""

from __future__ import annotations

import base64
import json
import os
import pickle
import random
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

from gtn_nas.architecture import Architecture
from gtn_nas.spaces import get_space
from gtn_nas.strategies.base import Strategy, StrategyContext
from gtn_nas.testing import require
from gtn_nas.trial import Record, Status, Trial

SPACE = get_space("conv_chain")
BUDGET = 32

Make = Callable[[StrategyContext], Strategy]
"""Makes a strategy: its class, or a function that passes further arguments to the class."""

Check = Callable[[Make], None]

SEEDS = range(10)
"""Seeds of the searches in each check."""

STEPS = 25
"""Number of trials in the longest of these searches."""


def score(architecture: Architecture) -> float:
    """Return a candidate's score: the sum of its widths, divided by the largest possible sum."""
    choices = architecture.choices
    widths = [int(str(value)) for name, value in choices.items() if name.startswith("width")]
    return sum(widths) / (6 * 56)


def finish(trial: Trial, status: Status = Status.OK) -> Record:
    """Return the record of a trial that ended with the given status."""
    if status is not Status.OK:
        return Record.of(trial, status, error="as drawn")
    return Record.of(trial, status, proxy_accuracy=score(trial.architecture))


def ranked(records: Iterable[Record]) -> list[Record]:
    """Sort candidates: larger budgets first, then higher scores; failed records come last.

    Of several records of one candidate, that of the largest budget counts, as in a search.
    """
    latest: dict[str, Record] = {}
    for record in records:
        if record.key not in latest or record.budget > latest[record.key].budget:
            latest[record.key] = record

    def place(record: Record) -> tuple[bool, int, float, str]:
        accuracy = record.proxy_accuracy or 0.0
        return record.status is not Status.OK, -record.budget, -accuracy, record.key

    return sorted(latest.values(), key=place)


def losses(record: Record) -> list[float | None]:
    """Return the losses of a record, as ``StrategyContext.losses`` of a search would."""
    return [None if record.proxy_accuracy is None else -record.proxy_accuracy]


def context(seed: int) -> StrategyContext:
    """Return the context of a search of these candidates."""
    return StrategyContext(SPACE, BUDGET, seed, ranked=ranked, losses=losses)


def search(strategy: Strategy, statuses: Iterable[Status]) -> tuple[list[Trial], list[Record]]:
    """Ask for, evaluate and tell one trial after the other; return every trial and every record.

    Args:
        strategy: the strategy to ask and tell.
        statuses: for each trial, the status with which its evaluation ends.
    """
    trials, records = [], []
    for status in statuses:
        (trial,) = strategy.ask(1)
        record = finish(trial, status)
        strategy.tell([record])
        trials.append(trial)
        records.append(record)
    return trials, records


def check_strategy(make: Make) -> None:
    """Check that a strategy keeps every rule in this module.

    Args:
        make: the strategy's class, or a function that makes a strategy of a context. It must be
            defined at the top level of a module, so that another process can import it.

    Raises:
        AssertionError: the strategy breaks a rule; the message says which, and for most rules with
            which seed of ``context``.
    """
    for check in CHECKS:
        check(make)


def same_asks_and_tells_give_the_same_trials(make: Make) -> None:
    """Equal asks and tells must give equal trials, since a resumed run repeats the stored ones."""
    for seed in SEEDS:
        one, other = make(context(seed)), make(context(seed))
        require(
            _in_parallel(one, seed) == _in_parallel(other, seed) and one.ask(5) == other.ask(5),
            f"seed {seed}: made twice, asked and told the same in the same order, it proposed "
            "different trials; draw from the rng that propose is given, and from nothing else",
        )


def records_may_be_told_one_by_one_or_all_at_once(make: Make) -> None:
    """A strategy must learn the same however many records it is told in one call."""
    for seed, records in _mostly_successful(make):
        cut = random.Random(seed).randint(0, len(records))
        at_once, in_parts = make(context(seed)), make(context(seed))
        at_once.tell(records)
        for part in (records[:cut], [], records[cut:]):
            in_parts.tell(part)
        require(
            at_once.ask(5) == in_parts.ask(5),
            f"seed {seed}: {len(records)} records that were told at once led to other trials than "
            "the same records in several calls of tell",
        )


def many_asks_at_once_are_single_asks(make: Make) -> None:
    """The number of trials in an ask must not change them, since it depends on the workers."""
    for seed, records in _mostly_successful(make):
        single, many = make(context(seed)), make(context(seed))
        single.tell(records)
        many.tell(records)
        asked = [trial for size in (3, 0, 1, 4) for trial in many.ask(size)]
        require(
            asked == [trial for _ in asked for trial in single.ask(1)] and len(asked) == 8,
            f"seed {seed}: asked for several trials at once, it proposed others than one by one",
        )


def every_ask_is_canonical_within_the_budget_and_numbered(make: Make) -> None:
    """Architectures must be canonical, budgets within the lesson, and asks numbered in order."""
    for seed in SEEDS:
        trials, _ = search(make(context(seed)), _statuses(seed))
        for index, trial in enumerate(trials):
            choices = trial.architecture.choices
            require(
                trial.architecture == SPACE.architecture(choices),
                f"seed {seed}: ask {index} is not in canonical form: {dict(choices)}; make "
                "architectures by space.sample, space.mutate or space.architecture",
            )
            require(
                1 <= trial.budget <= BUDGET,
                f"seed {seed}: ask {index} has a budget of {trial.budget}; it must be between 1 "
                f"and that of the context, {BUDGET}",
            )
            require(
                trial.ask_index == index,
                f"seed {seed}: ask {index} carries the number {trial.ask_index}; leave ask as it "
                "is, and override propose and promote",
            )


def only_known_architectures_are_promoted_and_an_end_is_reached(make: Make) -> None:
    """Promotions must raise the budgets of known architectures, and end, or no search would end."""
    for seed in SEEDS:
        strategy = make(context(seed))
        trials, _ = search(strategy, _statuses(seed))
        largest: dict[str, int] = {}
        for trial in trials:
            key = trial.architecture.key
            largest[key] = max(trial.budget, largest.get(key, 0))
        while promoted := strategy.ask(1, new=False):
            key, budget = promoted[0].architecture.key, promoted[0].budget
            require(key in largest, f"seed {seed}: promote proposed {key}, which was never asked")
            require(
                largest[key] < budget <= BUDGET,
                f"seed {seed}: promote proposed {key} at a budget of {budget} after one of "
                f"{largest[key]}; the next must be larger, and {BUDGET} at most",
            )
            largest[key] = budget
        require(
            strategy.ask(1)[0].architecture,
            f"seed {seed}: after the last promotion it proposed nothing new",
        )


def failures_and_repeated_records_are_borne(make: Make) -> None:
    """A strategy must go on after failed records and records that are told again."""
    for status in Status:
        if status is Status.OK:
            continue
        strategy = make(context(0))
        trials, records = search(strategy, [status] * STEPS)
        strategy.tell(records)
        strategy.tell(search(make(context(1)), [Status.OK, status])[1])
        distinct = {trial.architecture.key for trial in [*trials, *strategy.ask(5)]}
        require(
            len(distinct) > STEPS // 2,
            f"after {STEPS} candidates that ended as {status.value!r}, only {len(distinct)} "
            "different ones had been proposed; a search of failures must go on",
        )


def another_process_asks_for_the_same_without_torch_and_ray(make: Make) -> None:
    """Another process must ask for the same trials, without importing torch and Ray.

    A run may be resumed by another process, in which sets of strings have another order.
    """
    try:
        packed = base64.b64encode(pickle.dumps(make)).decode()
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise AssertionError(
            f"{make!r} cannot be imported by another process ({error}); define it at the top of a "
            "module"
        ) from error
    path = os.pathsep.join([*filter(None, sys.path), os.getcwd()])
    done = subprocess.run(  # noqa: S603  # this Python, and what is to be checked
        [sys.executable, "-c", _ELSEWHERE, packed],
        env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "12"},
        capture_output=True,
        text=True,
    )
    require(done.returncode == 0, f"in another process it failed:\n{done.stderr.strip()}")
    found, heavy = json.loads(done.stdout.splitlines()[-1])
    require(
        found == _asked_keys(make),
        "another process with the same seed proposed other architectures; does something depend "
        "on the order of a set, on hash() or on the time?",
    )
    require(
        not heavy,
        f"it imported {' and '.join(heavy)}, which take seconds and are no concern of a strategy; "
        "import what needs them inside the function that does",
    )


CHECKS: Sequence[Check] = (
    same_asks_and_tells_give_the_same_trials,
    records_may_be_told_one_by_one_or_all_at_once,
    many_asks_at_once_are_single_asks,
    every_ask_is_canonical_within_the_budget_and_numbered,
    only_known_architectures_are_promoted_and_an_end_is_reached,
    failures_and_repeated_records_are_borne,
    another_process_asks_for_the_same_without_torch_and_ray,
)
"""The rules; each is a function that raises an ``AssertionError`` if it is broken."""

_ELSEWHERE = """
import base64, json, pickle, sys
make = pickle.loads(base64.b64decode(sys.argv[1]))
from gtn_nas.testing.strategies import _asked_keys
print(json.dumps([_asked_keys(make), sorted({"torch", "ray"} & set(sys.modules))]))
"""


def _asked_keys(make: Make) -> list[str]:
    trials, _ = search(make(context(7)), [Status.OK] * STEPS)
    return [trial.architecture.key for trial in trials]


def _statuses(seed: int) -> list[Status]:
    """Return random statuses of the evaluations of a search; most are ``ok``."""
    rng = random.Random(seed)
    kinds = [Status.OK] * 5 + [Status.DIVERGED, Status.TIMEOUT]
    return rng.choices(kinds, k=rng.randint(1, STEPS))


def _mostly_successful(make: Make) -> Iterator[tuple[int, list[Record]]]:
    """Yield each seed with the records of a search, most of which succeeded."""
    for seed in SEEDS:
        yield seed, search(make(context(seed)), _statuses(seed))[1]


def _in_parallel(strategy: Strategy, seed: int) -> list[Trial]:
    """Ask and tell like a search with several workers, whose latest trials end first.

    Returns:
        Every trial that was asked for.
    """
    rng = random.Random(seed)
    trials: list[Trial] = []
    under_way: list[Trial] = []
    for _ in range(10):
        asked = strategy.ask(rng.randint(0, 4))
        trials += asked
        under_way += asked
        for _ in range(min(rng.randint(0, 4), len(under_way))):
            trial = under_way.pop()
            failed = trial.ask_index % 5 == 3
            strategy.tell([finish(trial, Status.FAILED if failed else Status.OK)])
    return trials
