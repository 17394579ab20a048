"""Open one run or several for reading: ``load_run``, ``load_runs`` and ``Run``."""

# ruff: noqa: S608 - every query is our own
from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtn_nas.architecture import Architecture
from gtn_nas.errors import QueryError
from gtn_nas.ranking.winner import order_by
from gtn_nas.results.locate import find_runs, require_run
from gtn_nas.results.reader import Runs
from gtn_nas.results.sandbox import literal
from gtn_nas.results.settings import read_settings
from gtn_nas.storage.files import Place, place_of
from gtn_nas.trial import Status

if TYPE_CHECKING:
    from gtn_nas.spaces.stored import StoredArchitecture


def load_run(uri: str | Path) -> Run:
    """Open a run for reading; it may still be running.

    Args:
        uri: the run's folder, or its URI such as ``s3://bucket/runs/x``.

    Raises:
        RunFolderError: there is no run, or a newer version of this package wrote it.
        ConfigError: the URI is of an unknown kind, or carries credentials.
        StoreError: the object store does not answer, or refuses.

    Example:
        >>> from gtn_nas import load_run
        >>> run = load_run("runs/mine")
        >>> run.query(top=1, where="status = 'ok'", sort="params", columns=["params"])
        [{'params': 16346}]
    """
    run = Run(require_run(place_of(uri)))
    run.check()
    return run


def load_runs(*uris: str | Path) -> Runs:
    """Open several runs for reading, as if they were one.

    Args:
        uris: folders or URIs of runs, or patterns such as ``runs/*`` and ``s3://bucket/runs/*``.

    Raises:
        RunFolderError: a folder is not a run, a pattern matches no run, or a newer version of this
            package wrote one of the runs.
        ConfigError: a URI is of an unknown kind, or carries credentials.
        StoreError: an object store does not answer, or refuses.

    Example:
        >>> from gtn_nas import load_runs
        >>> [row["run"] for row in load_runs("runs/*").top(2)]
        ['mine', 'mine']
    """
    runs = Runs(find_runs(uris))
    runs.check()
    return runs


class Run(Runs):
    """One run folder to read from.

    Args:
        folder: the run folder; ``load_run`` checks it first.

    Example:
        >>> from gtn_nas import load_run
        >>> run = load_run("runs/mine")
        >>> run.name, run.config["candidates"]
        ('mine', 4)
        >>> best = run.top(1)[0]
        >>> network = run.architecture(best["key"]).build()  # freshly initialised
        >>> sum(p.numel() for p in network.parameters()) == best["params"]
        True
    """

    def __init__(self, folder: Place) -> None:
        super().__init__([folder])
        self.folder = folder

    @property
    def name(self) -> str:
        """The run's name, which is the name of its folder."""
        return (self.folder.resolve() if isinstance(self.folder, Path) else self.folder).name

    @property
    def config(self) -> dict[str, Any]:
        """The run's configuration.

        Raises:
            RunFolderError: the file cannot be read or is not a YAML mapping.
        """
        return read_settings(self.folder)

    def architecture(self, key: str) -> StoredArchitecture:
        """Return the architecture of a candidate; its ``build`` gives the network.

        Raises:
            QueryError: no candidate has this key.
        """
        from gtn_nas.spaces.stored import StoredArchitecture

        columns = ["space", "choices"]
        rows = self.query(top=1, where=f"key = {literal(key)}", columns=columns, sort="tell_index")
        if not rows:
            raise QueryError(f"{self.folder} has no candidate with the key {key!r}")
        plain = Architecture.from_json(rows[0]["space"], rows[0]["choices"])
        setting = str(self.config.get("space") or "")
        return StoredArchitecture(plain.space, plain.choices, setting, self.facts)

    def best_finals(self) -> list[dict[str, Any]]:
        """Return the best full training of each network, best first; see ``ranking.winner``."""
        order = order_by()
        return self.sql(
            f"SELECT * FROM finals QUALIFY row_number() OVER (PARTITION BY key ORDER BY {order}) "
            f"= 1 ORDER BY {order}"
        )

    @property
    def winner(self) -> dict[str, Any] | None:
        """The full training that is best on validation images, or ``None``."""
        best = next(iter(self.best_finals()), None)
        return best if best is not None and best["status"] == Status.OK else None

    @property
    def facts(self) -> dict[str, Any]:
        """What the run recorded at its latest start or resume.

        These are facts about its images, search space, teacher and proxies.
        """
        noted = self.sql(
            "SELECT details FROM events WHERE kind IN ('start', 'resume') "
            "ORDER BY created_at DESC LIMIT 1"
        )
        facts = json.loads(noted[0]["details"]) if noted else {}
        return facts if isinstance(facts, dict) else {}
