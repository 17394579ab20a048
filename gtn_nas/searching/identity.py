"""The identity of a run: everything that its scores depend on, and whether it has changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from gtn_nas.errors import ConfigError
from gtn_nas.proxies.catalogue import modules_of
from gtn_nas.results.query import Run
from gtn_nas.spaces.fingerprint import Fingerprint, changes, code_fingerprint
from gtn_nas.storage.files import Place

Identity = dict[str, str | Fingerprint]
"""Everything that scores depend on, by name; a value is a text or the fingerprint of code."""

SCORING = ("gtn_nas.data.base", "gtn_nas.data.splits", "gtn_nas.teacher.curriculum")
"""Modules besides proxies that every score depends on: they choose images and teach learners."""
FIRST = """
SELECT kind, details FROM events
ORDER BY kind = 'start' DESC, kind = 'resume' DESC, created_at LIMIT 1
"""
"""Query of the event that holds the identity; without one, it returns an event of another kind."""


def scoring_fingerprint(proxies: Sequence[str]) -> Fingerprint:
    """Return the fingerprint of the code with which the given proxies score a built network."""
    return code_fingerprint({*modules_of(proxies), *SCORING})


def latency_fingerprint() -> Fingerprint:
    """Return the fingerprint of the code that measures latencies."""
    return code_fingerprint(["gtn_nas.proxies.latency"])


def refuse_other_identity(folder: Place, identity: Identity) -> None:
    """Make sure that scores of a resumed run would be comparable with its stored scores.

    Args:
        folder: the run folder.
        identity: everything that scores depend on now.

    Raises:
        ConfigError: the scores are not comparable, or the run noted too little to know.
        StoreError: the folder is in a bucket that does not answer.
    """
    run = Run(folder)
    run.check()
    events = run.sql(FIRST)
    if not events:  # the run ended before anything was stored
        return
    noted = json.loads(events[0]["details"]) if events[0]["kind"] in ("start", "resume") else {}
    if not isinstance(noted.get("search space"), Mapping):
        raise ConfigError(
            f"{folder} cannot be resumed: it was started by an earlier version of gtn-nas, whose "
            "scores cannot be told to be comparable; start a new run (this one can still be "
            "queried, reported and exported)"
        )
    changed = changes(noted, identity)
    if changed:
        raise ConfigError(
            f"{folder} cannot be resumed: its {', '.join(changed)} changed since it was started, "
            "and its scores would not be comparable; start a new run"
        )
