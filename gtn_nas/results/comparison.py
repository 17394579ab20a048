"""Compare two runs: their settings, their best networks, and how far their rankings agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gtn_nas.ranking.columns import finite
from gtn_nas.ranking.winner import HIGHEST
from gtn_nas.results.query import Run
from gtn_nas.results.reader import Runs
from gtn_nas.results.settings import Ranking
from gtn_nas.trial import Status

INCIDENTAL = frozenset({"out", "data_dir", "address"})
"""Settings that only say where things are; they have no effect on results."""


@dataclass(frozen=True)
class Verdict:
    """Which of two runs found the better network by one measure.

    Attributes:
        measure: the column or score that decides.
        first: key and value of the first run's best network, if any.
        second: key and value of the second run's best network, if any.
        better: 1 or 2; ``None`` if the runs are equally good or cannot be compared.
        why_not: the reason why the runs cannot be compared, if they cannot.
    """

    measure: str
    first: tuple[str, float | None] | None = None
    second: tuple[str, float | None] | None = None
    better: int | None = None
    why_not: str | None = None


@dataclass(frozen=True)
class Comparison:
    """The result of comparing two runs.

    Attributes:
        runs: the folders or URIs of the two runs.
        settings: settings that differ, each with its two values.
        facts: other differences that scores depend on, each with its two values: the data, the
            teacher, the source code of the search space.
        by_validation: which run trained the network with the better validation accuracy.
        by_score: which run found the candidate with the better score.
        evaluated: number of candidates that each run evaluated successfully.
        shared: number of candidates that both runs evaluated successfully.
        top: how many of the best candidates of each run are compared for ``top_shared``.
        top_shared: how many candidates are among the best ``top`` of both runs.
        spearman: rank correlation of the two rankings over the shared candidates; ``None`` if
            there are too few.
    """

    runs: tuple[str, str]
    settings: dict[str, tuple[Any, Any]]
    facts: dict[str, tuple[Any, Any]]
    by_validation: Verdict
    by_score: Verdict
    evaluated: tuple[int, int]
    shared: int
    top: int
    top_shared: int
    spearman: float | None


def compare(first: Run, second: Run, top: int = 10) -> Comparison:
    """Compare two runs; either may still be running.

    Args:
        first: the first run.
        second: the second run.
        top: how many of the best candidates of each run to compare for ``top_shared``.

    Raises:
        RunFolderError: a configuration is damaged.
        StoreError: a bucket does not answer.
    """
    facts = first.facts, second.facts
    rankings = _keys(first), _keys(second)
    shared = set(rankings[0]) & set(rankings[1])
    best = set(rankings[0][:top]) & set(rankings[1][:top])
    return Comparison(
        runs=(str(first.folder), str(second.folder)),
        settings=_differences(first.config, second.config, INCIDENTAL),
        facts=_differences(*facts, frozenset()),
        by_validation=_by_validation(first, second, *facts),
        by_score=_by_score(first, second),
        evaluated=(len(rankings[0]), len(rankings[1])),
        shared=len(shared),
        top=top,
        top_shared=len(best),
        spearman=_spearman(rankings, shared),
    )


def _differences(
    first: dict[str, Any], second: dict[str, Any], ignored: frozenset[str]
) -> dict[str, tuple[Any, Any]]:
    names = [name for name in {**first, **second} if name not in ignored]
    pairs = {name: (first.get(name), second.get(name)) for name in names}
    return {name: (a, b) for name, (a, b) in pairs.items() if a != b}


def _by_validation(
    first: Run, second: Run, facts: dict[str, Any], other_facts: dict[str, Any]
) -> Verdict:
    """Compare the best full trainings, provided that they were validated on the same images."""
    measure = HIGHEST
    images = [(f.get("data"), f.get("split")) for f in (facts, other_facts)]
    if images[0] != images[1]:
        return Verdict(measure, why_not="they were validated on different images")
    finals = _winning_accuracy(first), _winning_accuracy(second)
    if None in finals:
        return Verdict(measure, *finals, why_not="not both have fully trained networks")
    return Verdict(measure, *finals, better=_higher(finals))


def _by_score(first: Run, second: Run) -> Verdict:
    """Rank the candidates of both runs together, provided that they were evaluated alike."""
    ranking, other = Ranking.of(first.config), Ranking.of(second.config)
    measure = str(ranking.score)
    if ranking.score != other.score:
        why = f"they rank by different scores ({ranking.score} and {other.score})"
        return Verdict(measure, why_not=why)
    if ranking != other:
        return Verdict(measure, why_not="they have different limits")
    ids = [_evaluation_ids(run) for run in (first, second)]
    if len(ids[0] | ids[1]) > 1:
        why = "their evaluation_id differs: proxies, teacher, data or search space are not the same"
        return Verdict(measure, why_not=why)
    one, two = _best_key(first), _best_key(second)
    if one is None or two is None:
        return Verdict(measure, why_not="not both have candidates that succeeded")
    both = Runs([first.folder, second.folder])
    (best,) = both.query(top=1, where=f"status = '{Status.OK}'", columns=["key"])
    better = 1 if best["key"] == one else 2
    return Verdict(measure, (one, None), (two, None), None if one == two else better)


def _winning_accuracy(run: Run) -> tuple[str, float | None] | None:
    """Return the winner's key and validation accuracy, if both are known."""
    winner = run.winner
    accuracy = None if winner is None else finite(winner[HIGHEST])
    return None if winner is None or accuracy is None else (winner["key"], accuracy)


def _higher(finals: tuple[tuple[str, float | None] | None, ...]) -> int | None:
    first, second = (final[1] if final and final[1] is not None else 0.0 for final in finals)
    if first == second:
        return None
    return 1 if first > second else 2


def _best_key(run: Run) -> str | None:
    rows = run.query(top=1, where=f"status = '{Status.OK}'", columns=["key"])
    return rows[0]["key"] if rows else None


def _evaluation_ids(run: Run) -> set[str]:
    rows = run.sql("SELECT DISTINCT evaluation_id AS id FROM candidates")
    return {str(row["id"]) for row in rows}


def _keys(run: Run) -> list[str]:
    """Return the keys of the candidates that succeeded, best first."""
    rows = run.query(where=f"status = '{Status.OK}'", columns=["key"])
    return list(dict.fromkeys(str(row["key"]) for row in rows))


def _spearman(rankings: tuple[list[str], list[str]], shared: set[str]) -> float | None:
    import numpy as np

    from gtn_nas.ranking.statistics import LEAST_PAIRS, spearman

    if len(shared) < LEAST_PAIRS:
        return None
    places = [{key: -place for place, key in enumerate(ranking)} for ranking in rankings]
    keys = sorted(shared)
    first, second = (np.array([place[key] for key in keys], float) for place in places)
    return spearman(first, second)
