"""A URI of an object store: what it may not hold, and how it is opened."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from gtn_nas.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

SECRETS = re.compile(
    r"\w+://[^/@]*:(?!\d+/)[^@]*@|s3://[^/@]*@|.*[?&]\w*(secret|key|token|password|sig)\w*=",
    re.IGNORECASE,
)
"""How a URI with credentials starts; a password may have slashes in it, as those of S3 do."""

LIBRARY_S = 4.0
"""Seconds that Google's own library tries again; Amazon's does it once, within a second."""

DENIED = re.compile(
    "ACCESS_DENIED|ACCESS_KEY|SIGNATURE|TOKEN|UNAUTHENTICATED|PERMISSION|status 40[13]"
)
"""What a store says of a request that it knows nobody to be allowed."""


def refuse_secrets(uri: str) -> None:
    """Refuse a URI that carries credentials, without repeating them.

    Raises:
        ConfigError: it does.
    """
    if SECRETS.match(uri):
        scheme = uri.partition("://")[0]
        raise ConfigError(
            f"a {scheme}:// URI must not carry credentials; set them in the environment"
        )


def opened(uri: str) -> tuple[FileSystem, str]:
    """Return the store of a URI and the key in it."""
    from pyarrow import ArrowException
    from pyarrow.fs import FileSystem

    refuse_secrets(uri)
    try:
        files, key = FileSystem.from_uri(uri)
    except OSError as error:
        if "not found" in str(error):  # Amazon knows of no such bucket
            raise ConfigError(f"{uri} is no place for files: {reason_of(error)}") from error
        raise StoreError(f"cannot reach {uri}: {reason_of(error)}") from error
    except (ArrowException, ValueError) as error:
        raise ConfigError(
            f"{uri} is no place for files: {reason_of(error)}; a URI is like s3://bucket/name"
        ) from error
    if not key.strip("/"):
        raise ConfigError(f"{uri} is no place for files: it names no bucket")
    return _impatient(files), str(key)


def _impatient(files: FileSystem) -> FileSystem:
    """Let a store's own library try again for a short while only; ``Bucket`` knows how long to.

    A URI has no word for it, so the store is made once more from the options that it pickles.
    """
    from pyarrow.fs import AwsStandardS3RetryStrategy, GcsFileSystem, S3FileSystem

    more: dict[str, Any]
    if isinstance(files, S3FileSystem):
        more = {"retry_strategy": AwsStandardS3RetryStrategy(max_attempts=2)}
        more["allow_delayed_open"] = True  # a small file takes one request instead of three
    elif isinstance(files, GcsFileSystem):
        more = {"retry_time_limit": timedelta(seconds=LIBRARY_S)}
    else:
        return files
    _, (options,) = files.__reduce__()
    return type(files)(**options | more)


def reason_of(error: Exception) -> str:
    """Return in one line what a store said, and what to do about it."""
    text = re.sub(r"^When [^:]+: ", "", " ".join(str(error).split()))[:300]
    if DENIED.search(text):
        text += "; are the credentials in the environment right?"
    return text
