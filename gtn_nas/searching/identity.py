"""What the scores of a run depend on, and whether that has changed since the run was started."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from gtn_nas.errors import ConfigError
from gtn_nas.proxies.catalogue import modules_of
from gtn_nas.results.query import Run
from gtn_nas.spaces.fingerprint import Fingerprint, changes, code_fingerprint
from gtn_nas.storage.files import Place

Identity = dict[str, str | Fingerprint]
"""Each thing that scores depend on, by name: as text, or as the fingerprint of code."""

SCORING = ("gtn_nas.data.base", "gtn_nas.data.splits", "gtn_nas.teacher.curriculum")
"""Modules that every score depends on beside proxies: which images, and how a learner is taught."""
FIRST = """
SELECT kind, details FROM events
ORDER BY kind = 'start' DESC, kind = 'resume' DESC, created_at LIMIT 1
"""
"""The event that notes the identity; it is another where none does."""


def scoring_fingerprint(proxies: Sequence[str]) -> Fingerprint:
    """Return the fingerprint of the code by which some proxies score a network that was built."""
    return code_fingerprint({*modules_of(proxies), *SCORING})


def latency_fingerprint() -> Fingerprint:
    """Return the fingerprint of the code that measures latencies."""
    return code_fingerprint(["gtn_nas.proxies.latency"])


def refuse_other_identity(folder: Place, identity: Identity) -> None:
    """Make sure that a run's scores can be compared with those that would be added to it.

    Args:
        folder: the run folder.
        identity: what scores depend on now.

    Raises:
        ConfigError: they cannot be compared, or there is no telling.
        StoreError: the folder is in a bucket that does not answer.
    """
    run = Run(folder)
    run.check()
    events = run.sql(FIRST)
    if not events:  # it ended before it began
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
