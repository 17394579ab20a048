"""URIs of object stores: refuse credentials in them, and open them."""

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
"""Matches the start of a URI that carries credentials. Passwords may contain slashes, as in S3."""

LIBRARY_S = 4.0
"""Seconds for which Google's library repeats a request. Amazon's repeats it once, within 1 s."""

DENIED = re.compile(
    "ACCESS_DENIED|ACCESS_KEY|SIGNATURE|TOKEN|UNAUTHENTICATED|PERMISSION|status 40[13]"
)
"""Matches the error of an object store that does not accept the caller's credentials."""


def refuse_secrets(uri: str) -> None:
    """Refuse a URI that carries credentials, without repeating them.

    Raises:
        ConfigError: the URI carries credentials.
    """
    if SECRETS.match(uri):
        scheme = uri.partition("://")[0]
        raise ConfigError(
            f"a {scheme}:// URI must not carry credentials; set them in the environment"
        )


def opened(uri: str) -> tuple[FileSystem, str]:
    """Connect to the object store of a URI.

    Returns:
        Arrow's file system, and the key in it, which begins with the bucket's name.

    Raises:
        ConfigError: the URI is of an unknown kind, names no bucket, or carries credentials.
        StoreError: the object store does not answer.
    """
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
    """Limit how long the object store's own library repeats requests: ``Bucket`` does that.

    A URI cannot express this limit, so the file system is built again from its pickled options.
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
    """Return an object store's error message in one line, with a hint if access was denied."""
    text = re.sub(r"^When [^:]+: ", "", " ".join(str(error).split()))[:300]
    if DENIED.search(text):
        text += "; are the credentials in the environment right?"
    return text
