"""The object store: the embedded server (SeaweedFS), the bucket, and the reports kept in it."""

import mimetypes
import socket
import time
from collections.abc import Sequence

import psutil

from flows.object_client import (
    AccessDenied,
    ObjectMissing,
    ObjectStoreError,
    StoreUnreachable,
    WriteRefused,
    object_client,
    plain_errors,
)
from flows.object_server import (
    one_starter_at_a_time,
    refuse_taken_port,
    running_pid,
    server_address,
    spawn_server,
    stop_server,
    store_folder,
)
from flows.settings import Settings

START_SECONDS = 60
#: The longest life that S3 gives a presigned address.
REPORT_URL_SECONDS = 7 * 24 * 3600


def start_object_store(settings: Settings, options: Sequence[str] = ()) -> int | None:
    """Start the embedded server if it does not answer yet, create the bucket, and return the server's pid.

    Safe to call again and from several processes. With an outside endpoint nothing is started (returns None), but
    the bucket is made sure of. `options` are further options of `weed server`. Raises ObjectStoreError.
    """
    if not settings.object_store.embedded:
        ensure_bucket(settings)
        return None
    store_folder(settings).mkdir(parents=True, exist_ok=True, mode=0o700)
    with one_starter_at_a_time(settings):
        pid = running_pid(settings)
        if pid is None:
            refuse_taken_port(settings)
            pid = _start_until_ready(settings, options)
        else:
            _wait_until_ready(settings, psutil.Process(pid))
        ensure_bucket(settings)
        _wait_until_it_keeps(settings)
    return pid


def stop_object_store(settings: Settings) -> bool:
    """Stop the embedded server that start_object_store started; return whether one was running."""
    return stop_server(settings)


def is_ready(settings: Settings) -> bool:
    """Say whether the object store answers a signed request with these credentials."""
    try:
        with plain_errors(settings, "list the buckets"):
            object_client(settings).list_buckets()
    except AccessDenied:  # it knows the key, which may see its own bucket alone
        return True
    except ObjectStoreError:
        return False
    return True


def ensure_bucket(settings: Settings) -> None:
    """Create the bucket if it is not there; a key with rights in this one bucket alone is enough where it is."""
    store = settings.object_store
    client = object_client(settings)
    try:
        with plain_errors(settings, f"find bucket {store.bucket!r}"):
            client.head_bucket(Bucket=store.bucket)
        return
    except (ObjectMissing, AccessDenied):
        pass  # a HEAD says no more than 403: what is wrong is told by the attempt
    where = {} if store.region == "us-east-1" else {"LocationConstraint": store.region}
    with plain_errors(settings, f"find or create bucket {store.bucket!r}"):
        try:
            client.create_bucket(Bucket=store.bucket, **({"CreateBucketConfiguration": where} if where else {}))
        except (client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
            return


def put_report(settings: Settings, key: str, text: str) -> str:
    """Store a report (HTML, markdown, JSON) under reports/<key>, and return an address a browser can open."""
    content_type = mimetypes.guess_type(key)[0] or "text/plain"
    with plain_errors(settings, f"write report {key}"):
        object_client(settings).put_object(
            Bucket=settings.object_store.bucket,
            Key=f"reports/{key}",
            Body=text.encode(),
            ContentType=f"{content_type}; charset=utf-8",
        )
    return report_url(settings, key)


def report_url(settings: Settings, key: str) -> str:
    """Return a presigned address of a report, good for seven days; any reader with the credentials can make it anew."""
    url: str = object_client(settings).generate_presigned_url(
        "get_object",
        Params={"Bucket": settings.object_store.bucket, "Key": f"reports/{key}"},
        ExpiresIn=REPORT_URL_SECONDS,
    )
    return url


def _start_until_ready(settings: Settings, options: Sequence[str]) -> int:
    """Start the server; a side port that was taken in between costs one more try."""
    for _ in range(3):
        server = spawn_server(settings, options)
        _wait_until_ready(settings, server)
        if server.poll() is None:
            return int(server.pid)
    log = store_folder(settings) / "server.log"
    raise StoreUnreachable(f"The embedded object store ends at once when started. Its log: {log}")


def _wait_until_ready(settings: Settings, server: psutil.Process) -> None:
    """Return when the server answers or has ended; raise StoreUnreachable when it runs and does not answer."""
    deadline = time.monotonic() + START_SECONDS
    while server.is_running() and server.status() != psutil.STATUS_ZOMBIE:
        with socket.socket() as probe:
            listening = probe.connect_ex(server_address(settings)) == 0
        if listening and is_ready(settings):
            return
        if time.monotonic() > deadline:
            raise StoreUnreachable(
                f"The embedded object store did not answer at {settings.object_store.endpoint_url} within "
                f"{START_SECONDS} s with the access key {settings.object_store.access_key!r}. "
                f"Its log: {store_folder(settings) / 'server.log'}. Stop it with `aisle down`, then start it again."
            )
        time.sleep(0.1)


def _wait_until_it_keeps(settings: Settings) -> None:
    """A server that started again lists its objects ~3 s before it can read them: wait for one to be read."""
    client, where = object_client(settings), {"Bucket": settings.object_store.bucket, "Key": ".ready"}
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with plain_errors(settings, "read back the first object of the store"):
                client.get_object(**where)["Body"].read()
                return
        except ObjectMissing:
            with plain_errors(settings, "write the first object of the store"):
                client.put_object(**where, Body=b"ready")
        except WriteRefused:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
