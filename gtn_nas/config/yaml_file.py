"""Reading and writing of configurations as YAML."""

from __future__ import annotations

from typing import Any

import yaml
from pydantic import BaseModel

from gtn_nas.errors import ConfigError
from gtn_nas.storage.files import Place


def read_yaml(path: Place) -> dict[str, Any]:
    """Read a configuration file as a mapping.

    Raises:
        ConfigError: the file is missing, not YAML, or not a mapping.
        StoreError: the file is in a bucket that does not answer.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read configuration {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"configuration {path} is not YAML: {reason}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"configuration {path} must be a mapping of settings, e.g. `seed: 0`")
    return values


def to_yaml(config: BaseModel) -> str:
    """Return a configuration as YAML text, from which an equal configuration can be read."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
