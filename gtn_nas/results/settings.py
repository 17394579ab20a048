"""The stored configuration of a run, read without the libraries that validate it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gtn_nas.errors import QueryError, RunFolderError
from gtn_nas.ranking.limits import Limit
from gtn_nas.ranking.score import Score
from gtn_nas.results.layout import CONFIG
from gtn_nas.storage.files import Place

Settings = Mapping[str, Any]

RANK_BY_UNSAID = "proxy_accuracy"
"""The column to rank by if a run's configuration does not name one."""


@dataclass(frozen=True)
class Ranking:
    """How the candidates of a run are ranked.

    Attributes:
        score: the score to rank by.
        limits: limits that candidates must keep.
    """

    score: Score
    limits: tuple[Limit, ...]

    @classmethod
    def of(cls, settings: Settings) -> Ranking:
        """Return the ranking that a run's settings describe.

        Raises:
            ConfigError: the score or a limit cannot be read.
        """
        limits = settings.get("limits") or []
        texts = limits if isinstance(limits, list) else [limits]
        parsed = tuple(Limit.parse(str(text)) for text in texts)
        return cls(Score.parse(str(settings.get("rank_by", RANK_BY_UNSAID))), parsed)


def read_settings(folder: Place) -> dict[str, Any]:
    """Return the configuration of a run.

    Raises:
        RunFolderError: the file cannot be read or is not a YAML mapping.
        StoreError: the run is in a bucket that does not answer.
    """
    import yaml

    path = folder / CONFIG
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RunFolderError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    if not isinstance(settings, dict):
        raise RunFolderError(f"{path} is not a mapping of settings")
    return settings


def common_ranking(folders: Sequence[Place]) -> Ranking:
    """Return the ranking that all runs share.

    Raises:
        QueryError: the runs have different rankings.
        RunFolderError, ConfigError: a configuration is damaged.
    """
    rankings = [Ranking.of(read_settings(folder)) for folder in folders]
    for folder, ranking in zip(folders, rankings, strict=True):
        if ranking != rankings[0]:
            raise QueryError(
                f"{folders[0]} and {folder} rank by different scores or limits "
                f"({rankings[0].score}, {ranking.score}), so there is no common order; say "
                "one, e.g. --sort 'proxy_accuracy DESC'"
            )
    return rankings[0]
