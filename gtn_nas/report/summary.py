"""The page's summary of a run, and what is needed to repeat the run."""

from __future__ import annotations

from collections import Counter
from typing import Any

import yaml

from gtn_nas.report.snapshot import Snapshot, number
from gtn_nas.trial import Status
from gtn_nas.versions import versions

ABOUT = ("image_shape", "proxy_image_shape", "classes", "versions")
"""Entries in the details of a run's start that are not fingerprints."""


def summary(snapshot: Snapshot) -> dict[str, Any]:
    """Return the run's main settings, winner, counts and times."""
    config, finals, winner = snapshot.config, snapshot.finals, snapshot.winner
    times = snapshot.times
    return {
        "name": snapshot.name,
        "ended": snapshot.ended,
        "wanted": number(config.get("candidates")),
        "dataset": str(config.get("dataset", "digits")),
        "space": str(config.get("space", "conv_chain")),
        "strategy": str(config.get("strategy", "random")),
        "rank_by": str(snapshot.score),
        "limits": _listed(config.get("limits")),
        "objectives": _listed(config.get("objectives")),
        "statuses": Counter(str(row["status"]) for row in snapshot.candidates),
        "finals": Counter(str(final["status"]) for final in finals),
        "winner": winner and {n: _plain(v) for n, v in winner.items()},
        "started": times and times[0].isoformat(timespec="seconds"),
        "written": times and times[1].isoformat(timespec="seconds"),
        "lasted_s": times and number((times[1] - times[0]).total_seconds()),
        "candidates_s": _total(snapshot.evaluations, "train_s", "eval_s"),
        "finals_s": _total(finals, "train_s"),
        "workers": len({(row["node"], row["worker"]) for row in snapshot.evaluations}),
        "skipped": snapshot.skipped,
    }


def reproduction(snapshot: Snapshot) -> dict[str, Any]:
    """Return the command, configuration, versions, fingerprints and devices to repeat a run."""
    about, here = snapshot.about, versions()
    there = about.get("versions")
    evaluations = [row for row in snapshot.evaluations if row["status"] == Status.OK]
    places = {(r["device"], r["threads"], r["torch_version"]) for r in evaluations}
    verb = "validate-proxy" if "truth" in snapshot.config else "search"
    return {
        "command": f"gtn-nas {verb} --config config.yaml --out another-folder",
        "config": yaml.safe_dump(dict(snapshot.config), sort_keys=False, allow_unicode=True),
        "versions": _texts(there) if isinstance(there, dict) else {},
        "fingerprints": _texts(_each({n: v for n, v in about.items() if n not in ABOUT})),
        "devices": sorted(
            f"{device or 'unknown device'}, threads: {threads or '?'}, torch {torch or '?'}"
            for device, threads, torch in places
        ),
        "reported_by": f"gtn-nas {here.get('gtn-nas', '')}, Python {here['python']}",
    }


def _total(rows: list[dict[str, Any]], *columns: str) -> float | None:
    return number(float(sum(row[column] or 0 for row in rows for column in columns)))


def _plain(value: Any) -> Any:
    if isinstance(value, int | float):
        return number(value)
    return None if value is None else str(value)


def _listed(value: Any) -> list[str]:
    """Return the items of a list as texts; a value that is no list becomes the only item."""
    if not value:
        return []
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _each(values: dict[str, Any]) -> dict[str, Any]:
    """Return fingerprints with an entry for each module, where they are given by module."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        parts = value if isinstance(value, dict) else {"": value}
        found |= {f"{name}: {part}" if part else name: v for part, v in parts.items()}
    return found


def _texts(values: dict[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in values.items()}
