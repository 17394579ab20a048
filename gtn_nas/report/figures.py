"""The data of each figure of the page, as JSON values that the page's scripts draw."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from gtn_nas.proxies.catalogue import EVALUATED, columns_of
from gtn_nas.ranking.columns import lower_is_better, lower_ranks_first
from gtn_nas.ranking.pareto import front
from gtn_nas.ranking.statistics import LEAST_PAIRS, Values, spearman, with_interval
from gtn_nas.report.snapshot import COSTS, Row, Snapshot, mapping, number
from gtn_nas.trial import Status

Figure = dict[str, Any]

ENOUGH = 10
"""Smallest number of full trainings for which a rank correlation gets an interval."""

CURVES = 8
"""Most full trainings whose curves are drawn; more could not be told apart."""

MOST_CLASSES = 10_000
"""Most classes of a confusion matrix; a row with a higher label is damaged."""

HIDDEN = {"run", "choices", "schema_version", "created_at", "tell_index"}
TEXTS = ("status", "error", "proxy_errors", "parent_key", "worker", "node", "device")
OF_FINALS = ("validation_accuracy", "test_accuracy")

SHOWN = (*OF_FINALS, "proxy_accuracy", "params", "flops", "latency_ms")
"""Columns that the table shows at first, beside key, status and the columns of the score."""


def table(snapshot: Snapshot) -> Figure:
    """Return the table of all candidates column by column, best candidate first.

    Columns of text are lists of the different texts, with an index into them for each candidate.
    """
    rows = snapshot.candidates
    finals = {final["key"]: final for final in snapshot.finals}
    columns: list[Figure] = [{"name": "key", "values": [row["key"] for row in rows]}]
    filled = [name for name in TEXTS if any(row[name] for row in rows)]
    columns += ({"name": n, **_levels([row[n] or "" for row in rows])} for n in filled)
    for name in OF_FINALS:
        columns += _numbers(name, [finals.get(row["key"], {}).get(name) for row in rows])
    for name in snapshot.columns:
        if name not in HIDDEN and name not in TEXTS:
            columns += _numbers(name, [row[name] for row in rows])
    columns += _numbers("ended_s", [snapshot.at_s(row) for row in rows], lower=True)
    choices = [mapping(row["choices"]) for row in rows]
    for name in sorted({name for chosen in choices for name in chosen}):
        values = [_text(chosen[name]) if name in chosen else "" for chosen in choices]
        columns.append({"name": name, "choice": True, **_levels(values)})
    shown = ["key", "status", *snapshot.score_columns, *SHOWN]
    columns = _named_apart(columns)
    return {"count": len(rows), "columns": columns, "shown": list(dict.fromkeys(shown))}


def agreement(snapshot: Snapshot) -> Figure:
    """Return how well each proxy ranked the fully trained networks, and their number."""
    by_key = {row["key"]: row for row in snapshot.candidates}
    pairs = [
        (by_key[f["key"]], f)
        for f in snapshot.trained
        if f["key"] in by_key and number(f["validation_accuracy"]) is not None
    ]
    scores = [("rank", [-float(final["rank"]) for _, final in pairs])]
    for name in dict.fromkeys([*snapshot.score_columns, "params", *columns_of(EVALUATED)]):
        values = [number(row.get(name)) for row, _ in pairs]
        if name in snapshot.columns and values and None not in values:
            sign = -1 if lower_ranks_first(name) else 1
            scores.append((name, [sign * value for value in values if value is not None]))
    truth = np.array([final["validation_accuracy"] for _, final in pairs], dtype=float)
    measured = [{"name": n, **_correlation(np.array(values), truth)} for n, values in scores]
    points = [
        {"key": row["key"], "rank": final["rank"], "accuracy": number(final["validation_accuracy"])}
        | {n: number(row.get(n)) for n, _ in scores[1:]}
        for row, final in pairs
    ]
    return {"count": len(pairs), "least": LEAST_PAIRS, "scores": measured, "points": points}


def fronts(snapshot: Snapshot) -> Figure:
    """Return the Pareto fronts of the candidates and those of the full trainings."""
    places = {row["key"]: place for place, row in enumerate(snapshot.candidates)}
    of_candidates = [
        {"cost": cost, "places": [places[key] for key in keys if key in places]}
        for cost, keys in snapshot.fronts.items()
    ]
    latency = {row["key"]: row.get("latency_ms") for row in snapshot.candidates}
    points = [
        {
            "key": final["key"],
            "accuracy": number(final["validation_accuracy"]),
            "params": number(final["params"]),
            "flops": number(final["flops"]),
            "latency_ms": number(latency.get(final["key"])),
        }
        for final in snapshot.trained
    ]
    of_finals = []
    for cost in COSTS:
        best = front(points, partial(_losses, cost))
        if best:
            of_finals.append({"cost": cost, "keys": [point["key"] for point in best]})
    return {
        "measure": snapshot.measure,
        "lower": snapshot.measure is not None and lower_ranks_first(snapshot.measure),
        "candidates": of_candidates,
        "finals": of_finals,
        "points": points,
    }


def curves(snapshot: Snapshot) -> list[Figure]:
    """Return the learning curves of the best full trainings.

    If an epoch was recorded more than once, for instance after a resume, the latest record counts.
    """
    epochs: dict[str, dict[int, Row]] = {}
    for event in snapshot.events:
        epoch = event["details"].get("epoch")
        if event["kind"] == "epoch" and isinstance(epoch, int):
            epochs.setdefault(str(event["key"]), {})[epoch] = event["details"]
    ended = [final["key"] for final in snapshot.finals]
    keys = [k for k in ended if k in epochs] + [k for k in epochs if k not in ended]
    names = ("validation_accuracy", "validation_loss", "train_loss")
    return [
        {"key": key, "epochs": sorted(epochs[key])}
        | {n: [number(epochs[key][e].get(n)) for e in sorted(epochs[key])] for n in names}
        for key in keys[:CURVES]
    ]


def confusion(snapshot: Snapshot) -> Figure | None:
    """Return the winner's confusion matrix on the test images; ``None`` if there is none.

    Each cell is a list of two labels and a number of images.
    """
    winner = snapshot.winner and snapshot.winner["key"]
    found: Figure | None = None
    for event in snapshot.events:
        cells = event["details"].get("test_confusion")
        if event["kind"] == "confusion" and event["key"] == winner and isinstance(cells, list):
            found = {"key": winner, "cells": [c for c in cells if _is_cell(c)]}
    if found is None:
        return None
    size = 1 + max((max(cell[:2]) for cell in found["cells"]), default=-1)
    names = snapshot.about.get("classes")
    classes = [str(name) for name in names] if isinstance(names, list) else []
    return found | {"classes": classes + [str(label) for label in range(len(classes), size)]}


def timeline(snapshot: Snapshot) -> Figure:
    """Return when each worker evaluated which candidate, and events such as a lost worker."""
    lanes: dict[str, int] = {}
    spans: list[list[Any]] = []
    for row in snapshot.evaluations:
        lane = lanes.setdefault(f"{row['worker'] or 'unknown'} on {row['node'] or '?'}", len(lanes))
        spent_s = (row["train_s"] or 0) + (row["eval_s"] or 0)
        spans.append(_span(snapshot, row, lane, spent_s))
    trainings = [_span(snapshot, final, 0, final["train_s"] or 0) for final in snapshot.finals]
    spans += _side_by_side(trainings, lanes)
    notices = [
        {
            "at_s": number(snapshot.at_s(event)),
            "kind": event["kind"],
            "key": event["key"],
            "about": "; ".join(f"{n}: {_text(v)}" for n, v in event["details"].items()),
        }
        for event in snapshot.events
        if event["kind"] in ("worker_joined", "worker_left", "requeued", "exhausted")
    ]
    marks = [e | {"at_s": snapshot.at_s(e)} for e in snapshot.events if e["kind"] == "resume"]
    return {
        "lanes": list(lanes),
        "spans": spans,
        "notices": notices,
        "resumed_s": [number(mark["at_s"]) for mark in marks],
    }


def failures(snapshot: Snapshot) -> list[Figure]:
    """Return failed evaluations and full trainings, grouped by status and error.

    A full training with status ``stopped`` has not failed: others were better at that time.
    """
    found: Counter[tuple[str, str, str]] = Counter()
    first: dict[tuple[str, str, str], str] = {}
    of_candidates = [("candidate", row) for row in snapshot.candidates]
    for stage, row in [*of_candidates, *(("full training", final) for final in snapshot.finals)]:
        if row["status"] not in (Status.OK, Status.STOPPED):
            kind = (stage, str(row["status"]), row["error"] or "no reason was recorded")
            found[kind] += 1
            first.setdefault(kind, row["key"])
    return [
        {"stage": kind[0], "status": kind[1], "error": kind[2], "count": n, "key": first[kind]}
        for kind, n in found.most_common()
    ]


def _correlation(score: Values, truth: Values) -> Figure:
    if len(truth) < LEAST_PAIRS:
        return {}
    if len(truth) < ENOUGH:
        return {"spearman": number(spearman(score, truth))}
    found = with_interval(spearman, score, truth)
    ends = {"low": number(found.low), "high": number(found.high)}
    return {"spearman": number(found.value)} | ends


def _numbers(name: str, values: Sequence[Any], *, lower: bool | None = None) -> list[Figure]:
    """Return a list with one column of numbers, or an empty list if all values are missing.

    Args:
        name: the column's name.
        values: the column's values.
        lower: whether lower values are better; by default as ``lower_is_better`` says.
    """
    numbers = [number(value) for value in values]
    if all(value is None for value in numbers):
        return []
    lower = lower_is_better(name) if lower is None else lower
    return [{"name": name, "lower": lower, "values": numbers}]


def _named_apart(columns: Sequence[Figure]) -> list[Figure]:
    """Rename columns so that names are unique: a choice may have the name of another column."""
    taken = {"rank"}
    apart = []
    for column in columns:
        name = column["name"]
        while name in taken:
            name = f"{'choice' if 'choice' in column else 'column'}_{name}"
        taken.add(name)
        apart.append(column | {"name": name})
    return apart


def _levels(values: Sequence[str]) -> Figure:
    places: dict[str, int] = {}
    codes = [places.setdefault(value, len(places)) for value in values]
    return {"levels": list(places), "codes": codes}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _losses(cost: str, point: Figure) -> list[float | None]:
    """Return the objectives of a full training, with signs that make lower values better."""
    accuracy = point["accuracy"]
    return [None if accuracy is None else -accuracy, point[cost]]


def _is_cell(cell: Any) -> bool:
    """Tell whether a value is a cell of a confusion matrix: two labels and a count."""
    is_triple = isinstance(cell, list) and len(cell) == 3
    is_counted = is_triple and all(isinstance(n, int) and n >= 0 for n in cell)
    return is_counted and max(cell[:2]) < MOST_CLASSES


def _side_by_side(spans: Sequence[list[Any]], lanes: dict[str, int]) -> list[list[Any]]:
    """Put spans into new lanes, as few as possible without overlaps; add these to ``lanes``."""
    ends_s: list[float] = []
    placed = []
    for _, start_s, end_s, status in sorted(spans, key=lambda span: span[1]):
        free = (i for i, busy_until_s in enumerate(ends_s) if busy_until_s <= start_s)
        place = next(free, len(ends_s))
        ends_s[place:] = [end_s, *ends_s[place + 1 :]]
        lane = lanes.setdefault(f"full trainings {place + 1}", len(lanes))
        placed.append([lane, start_s, end_s, status])
    return placed


def _span(snapshot: Snapshot, row: Row, lane: int, spent_s: float) -> list[Any]:
    """Return lane, start and end in seconds, and status.

    A row is created when its work ends, so its time is the end.
    """
    end_s = snapshot.at_s(row)
    return [lane, number(max(end_s - spent_s, 0.0)), number(end_s), str(row["status"])]
