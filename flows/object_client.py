"""The door to the object store: one boto3 client from settings, and its errors in plain sentences."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import boto3.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from flows.settings import ObjectStoreSettings, Settings

#: How long the store may take to accept a connection, and to go on with an answer.
CONNECT_SECONDS = 3
READ_SECONDS = 30
#: Tries of one request, with exponential backoff and jitter between them.
ATTEMPTS = 4
CREDENTIAL_CODES = {
    "SignatureDoesNotMatch",
    "InvalidAccessKeyId",
    "InvalidToken",
    "ExpiredToken",
    "TokenRefreshRequired",
}
CONFLICT_CODES = {"PreconditionFailed", "ConditionalRequestConflict", "OperationAborted", "412"}
MISSING_CODES = {"NoSuchKey", "404", "NotFound"}
FULL_CODES = {"InsufficientStorage", "InsufficientCapacity", "QuotaExceeded", "XMinioStorageFull", "507"}


class ObjectStoreError(RuntimeError):
    """The object store did not do what was asked; the message says what to do next."""


class StoreUnreachable(ObjectStoreError):
    """Nothing answers at the endpoint."""


class WrongCredentials(ObjectStoreError):
    """The store does not know the access key, or the secret does not fit it."""


class AccessDenied(ObjectStoreError):
    """The credentials are right but may not do this."""


class WriteRefused(ObjectStoreError):
    """The store answers but cannot take the bytes: no space left, or broken inside."""


class WriteConflict(ObjectStoreError):
    """A conditional write lost: another writer changed the object first."""


class ObjectMissing(ObjectStoreError):
    """The bucket or the object is not there."""


def object_client(settings: Settings) -> Any:
    """Return the boto3 S3 client of the settings' endpoint; one a process, safe from any thread.

    Timeouts: 3 s to connect, 30 s to read. Four attempts with exponential backoff and jitter (botocore's 'standard').
    """
    return _client(settings.object_store)


@lru_cache(maxsize=16)
def _client(store: ObjectStoreSettings) -> Any:
    """Make the client: ~0.1 s of CPU, the reason to keep it."""
    own_endpoint = "amazonaws.com" not in store.endpoint_url
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=16,
        request_checksum_calculation="when_supported",
        response_checksum_validation="when_supported",
        s3={"addressing_style": "path" if own_endpoint else "auto"},
        signature_version="s3v4",
        # A server on this machine is reached directly, whatever proxy the environment names.
        proxies={} if urlsplit(store.endpoint_url).hostname in ("127.0.0.1", "localhost") else None,
    )
    return boto3.session.Session().client(
        "s3",
        endpoint_url=store.endpoint_url,
        aws_access_key_id=store.access_key,
        aws_secret_access_key=store.secret_key,
        region_name=store.region,
        config=config,
    )


@contextmanager
def plain_errors(settings: Settings, action: str) -> Iterator[None]:
    """Turn botocore's errors inside the block into ObjectStoreError; `action` ends the sentence 'Could not …'."""
    try:
        yield
    except ClientError as error:
        raise _from_answer(error, settings, action) from error
    except (HTTPClientError, BotoCoreError) as error:
        raise StoreUnreachable(
            f"Could not {action}: the object store at {settings.object_store.endpoint_url} does not answer "
            f"({type(error).__name__}). Start it with `aisle up`, or set AISLE_S3_ENDPOINT_URL to one that runs."
        ) from error


def _from_answer(error: ClientError, settings: Settings, action: str) -> ObjectStoreError:
    store = settings.object_store
    answer: dict[str, Any] = dict(error.response.get("Error", {}))
    code, detail = str(answer.get("Code", "")), str(answer.get("Message", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    opening = f"Could not {action}: "
    if code in CREDENTIAL_CODES:
        return WrongCredentials(
            f"{opening}the object store at {store.endpoint_url} refused the access key {store.access_key!r} ({code}). "
            "Set AISLE_S3_ACCESS_KEY and AISLE_S3_SECRET_KEY to a pair it knows."
        )
    if code in CONFLICT_CODES or status == 412:
        return WriteConflict(f"{opening}another writer changed it first ({code}). Read it again, then decide.")
    if code == "NoSuchBucket":
        return ObjectMissing(
            f"{opening}bucket {store.bucket!r} is not at {store.endpoint_url}. "
            "Create it, or set AISLE_S3_BUCKET to one that exists."
        )
    if code in MISSING_CODES:
        return ObjectMissing(f"{opening}it is not in bucket {store.bucket!r} at {store.endpoint_url}.")
    if code == "AccessDenied" or status == 403:
        return AccessDenied(
            f"{opening}the access key {store.access_key!r} may not do that in bucket {store.bucket!r} at "
            f"{store.endpoint_url} ({code}). Give it read, write and list rights, or set AISLE_S3_ACCESS_KEY and "
            "AISLE_S3_SECRET_KEY to a pair that has them."
        )
    if status >= 500 or code in FULL_CODES:
        return WriteRefused(
            f"{opening}the object store at {store.endpoint_url} refused it ({code}: {detail}). It may be out of space: "
            "free some, then run the same command again; nothing was half-published."
        )
    return ObjectStoreError(f"{opening}the object store at {store.endpoint_url} said {code} ({status}): {detail}")
