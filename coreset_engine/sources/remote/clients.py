"""Clients of object stores for `sources.remote.storage`: no retries of their own, plain errors.

Every client has its own way of asking again (s3fs five times, gcsfs for half a minute, Azure's for
one) and its own exceptions. Here each is made to ask once, so that `storage.steadily` alone decides
how long a store is waited for, and a refusal is distinguished from a store that does not answer.
Credentials and addresses come from the environment, as for the stores' own tools; nothing of them
is read or kept here.
"""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import Any

# seconds for a connection, and between two answers
CONNECT_S = 10
READ_S = 60
PACKAGES = {
    "s3": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "hdfs": "pyarrow",
    "file": "fsspec",
    "memory": "fsspec",
}
EXAMPLES = {
    "s3": "s3://bucket/folder",
    "gs": "gs://bucket/folder",
    "gcs": "gs://bucket/folder",
    "az": "az://container/folder",
    "abfs": "az://container/folder",
    "hdfs": "hdfs://host/folder",
}
REMOTE = (
    "botocore",
    "aiobotocore",
    "aiohttp",
    "s3fs",
    "gcsfs",
    "google",
    "adlfs",
    "azure",
    "urllib3",
    "requests",
    "asyncio",
)  # packages whose exceptions, no OSErrors all of them, mean that the network failed
_DENIED = (
    "NoCredentialsError",
    "PartialCredentialsError",
    "TokenRetrievalError",
    "DefaultCredentialsError",
    "NonRetryableError",
    "ClientAuthenticationError",
    "CredentialUnavailableError",
)
_REFUSALS = (401, 403)
_KEYS = {
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS to a key file, or run `gcloud auth "
    "application-default login`",
    "az": "set AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME and "
    "AZURE_STORAGE_ACCOUNT_KEY",
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile",
}
_ALIASES = {"gcs": "gs", "abfs": "az"}


def client(protocol: str, url: str) -> tuple[Any, str]:
    """(fsspec file system, the path of `url` inside it).

    Raises ImportError without the package, ValueError for a URL or settings that its client cannot
    use.
    """
    import fsspec

    protocol = _ALIASES.get(protocol, protocol)
    if protocol == "gs":
        return _google(url)
    options: dict[str, Any] = {}
    if protocol == "s3":
        logging.getLogger("s3fs").setLevel(logging.CRITICAL)
        options["config_kwargs"] = dict(
            retries=dict(total_max_attempts=1), connect_timeout=CONNECT_S, read_timeout=READ_S
        )
    if protocol == "az":
        logging.getLogger("azure").setLevel(logging.CRITICAL)
        options |= dict(connection_timeout=CONNECT_S, read_timeout=READ_S)
    filesystem, path = fsspec.core.url_to_fs(url, **options)
    if protocol == "az":
        _once(filesystem)
    return filesystem, path


def _google(url: str) -> tuple[Any, str]:
    """gcsfs by its HTTP API alone.

    The class that its package registers queries each bucket's layout over gRPC first. An emulator
    (STORAGE_EMULATOR_HOST, as for every Google client) needs no credentials.
    """
    import aiohttp
    from gcsfs.core import GCSFileSystem

    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)
    limit = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=READ_S)
    filesystem = GCSFileSystem(
        token="anon" if os.environ.get("STORAGE_EMULATOR_HOST") else None, requests_timeout=limit
    )
    request = getattr(
        GCSFileSystem._request, "__wrapped__", None
    )  # below the decorator that asks again
    if request is not None:
        filesystem._request = partial(request, filesystem)
    return filesystem, filesystem._strip_protocol(url)


def _once(filesystem: Any) -> None:
    """adlfs hands no setting on to Azure's client, whose policy waits 15, 18 and 24 s."""
    policy = getattr(getattr(filesystem.service_client, "_config", None), "retry_policy", None)
    if policy is not None:
        policy.total_retries = 0


def status(error: BaseException) -> int | None:
    """The HTTP status that a client's exception carries, None when it carries none."""
    for name in ("status_code", "status", "code"):
        status = str(getattr(error, name, ""))
        if status.isdigit():
            return int(status)
    return None


def denied(error: BaseException) -> bool:
    """Whether the store was reached and refuses, or no credentials were found."""
    return (
        isinstance(error, PermissionError)
        or type(error).__name__ in _DENIED
        or status(error) in _REFUSALS
        or isinstance(error, OSError)
        and str(error).startswith("Forbidden")
    )  # gcsfs words a 403 like that


def final(error: BaseException) -> bool:
    """Whether a retry cannot help: no such object or bucket, no access, an invalid request."""
    return (
        isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError)
        or denied(error)
        or status(error) in (400, 404, 405, 409, 410)
        or type(error).__name__ == "ParamValidationError"
    )


def remedy(protocol: str) -> str:
    """What gives this machine, and every node, access to the store."""
    return _KEYS.get(
        _ALIASES.get(protocol, protocol), "give credentials with list and read permission"
    )


def example(protocol: str) -> str:
    """A URL of that store."""
    return EXAMPLES.get(protocol, "s3://bucket/folder")
