"""A server's lease: an object in the store that says which release it answers from, so that clean-up leaves it alone.

leases/<host>-<port>-<pid>.json, written when the release changes and every few minutes after, removed at a clean stop.
One that was not renewed for a day is void (flows/release_cleanup.py). Answering does not hang on it.
"""

import logging
import os
import socket
import time
from dataclasses import dataclass
from typing import Any

import orjson
from botocore.exceptions import BotoCoreError, ClientError

RENEW_SECONDS = 300.0
LOG = logging.getLogger("serving")


@dataclass
class Lease:
    """What this process last wrote: the release, and when (monotonic seconds); None before the first."""

    key: str
    release_id: str | None = None
    renewed_at: float = 0.0


def own_lease(port: int) -> Lease:
    """Return the lease of this process, not written yet."""
    return Lease(f"leases/{server_name(port)}.json")


def server_name(port: int) -> str:
    """Return how this process is called in the object store."""
    return f"{socket.gethostname()}-{port}-{os.getpid()}"


def renew(client: Any, bucket: str, lease: Lease, release_id: str | None) -> None:
    """Write the lease if it is due. A store that refuses is tried again when it is due next; never raises."""
    now = time.monotonic()
    if release_id is None or (release_id == lease.release_id and now - lease.renewed_at < RENEW_SECONDS):
        return
    lease.release_id, lease.renewed_at = release_id, now
    try:
        client.put_object(Bucket=bucket, Key=lease.key, Body=orjson.dumps({"release_id": release_id}))
    except (BotoCoreError, ClientError) as error:
        LOG.warning("no lease on release %s, a clean-up may remove it from the store: %s", release_id, error)


def give_up(client: Any, bucket: str, lease: Lease) -> None:
    """Remove the lease; never raises."""
    if lease.release_id is None:
        return
    try:
        client.delete_object(Bucket=bucket, Key=lease.key)
    except (BotoCoreError, ClientError) as error:
        LOG.info("the lease stays until it is void: %s", error)
