"""The champion's pointer: which release serving answers with, moved by one conditional write."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flows.object_client import ObjectMissing, WriteConflict, object_client, plain_errors
from flows.release_objects import REMOVAL_NAME, BrokenRelease, canonical, read_object, sizes_of
from flows.settings import Settings

POINTER_KEY = "champion.json"
#: Releases that a pointer remembers, to roll back to, newest first.
REMEMBERED = 10


@dataclass(frozen=True)
class Pointer:
    """champion.json as it was read: the release that serving answers with, and the ETag for the next write.

    `earlier`: the champions before it that `rollback` goes back to, newest first.
    """

    release_id: str
    manifest_sha256: str
    promoted_at: str = ""
    etag: str = ""
    earlier: tuple[str, ...] = ()

    @property
    def trail(self) -> tuple[str, ...]:
        """This release and those before it: what the next pointer can go back to."""
        return (self.release_id, *self.earlier)


@dataclass(frozen=True)
class Published:
    """What publishing did: the release's id, and whether this call moved the pointer (False: it was there already)."""

    release_id: str
    moved: bool


def read_pointer(settings: Settings) -> Pointer | None:
    """Read which release is champion; None before the first one."""
    try:
        body, etag = read_object(settings, POINTER_KEY, "read the champion's pointer")
    except ObjectMissing:
        return None
    content = json.loads(body)
    earlier = content["earlier"] if "earlier" in content else [content.get("previous")]
    return Pointer(
        content["release_id"], content["manifest_sha256"], content["promoted_at"], etag, tuple(filter(None, earlier))
    )


def move_pointer(settings: Settings, to: Pointer, champion: Pointer | None) -> Published:
    """Make `to` champion, on condition that `champion` still is; then look whether the release is still there.

    The etag and promoted_at of `to` are not used. Raises WriteConflict when another release became champion meanwhile,
    BrokenRelease when clean-up removed the release meanwhile (the pointer is then where it was).
    """
    if champion and (champion.release_id, champion.manifest_sha256) == (to.release_id, to.manifest_sha256):
        return Published(to.release_id, moved=False)
    action = f"make release {to.release_id} champion"
    try:
        etag = _write(settings, to, champion.release_id if champion else None, champion.etag if champion else None)
    except (WriteConflict, ObjectMissing) as error:
        # A write that was tried twice may have won the first time: then the champion is already this release.
        now = read_pointer(settings)
        if now and (now.release_id, now.manifest_sha256) == (to.release_id, to.manifest_sha256):
            return Published(to.release_id, moved=False)
        raise WriteConflict(
            f"Could not {action}: the champion was {champion.release_id if champion else 'none'} when this run began "
            f"and is {now.release_id if now else 'none'} now. The release is stored; gate it against the new champion "
            f"with `aisle train`, or decide by hand with `aisle release promote {to.release_id}`."
        ) from error
    _undo_if_removed(settings, to, champion, etag)
    return Published(to.release_id, moved=True)


def _undo_if_removed(settings: Settings, to: Pointer, champion: Pointer | None, etag: str) -> None:
    """Clean-up writes its mark and then reads the pointer; we wrote the pointer and now look for the mark.

    So at least one of the two sees the other, and no pointer is left on a release that is being removed.
    """
    there = sizes_of(settings, to.release_id)
    if REMOVAL_NAME not in there and "manifest.json" in there:
        return
    if champion is not None:
        _write(settings, champion, to.release_id, etag)
    else:
        _withdraw(settings, etag)
    raise BrokenRelease(
        f"Release {to.release_id} is being removed by `aisle release gc`; the champion is what it was before. Promote "
        "another one, or train again. If that clean-up was cut off, end it with `aisle release gc --apply`."
    )


def _withdraw(settings: Settings, etag: str) -> None:
    """Remove the pointer that we wrote, where there was none before; one that moved since is another's."""
    now = read_pointer(settings)
    if now is not None and now.etag == etag:
        with plain_errors(settings, "take the champion's pointer back"):
            object_client(settings).delete_object(Bucket=settings.object_store.bucket, Key=POINTER_KEY)


def _write(settings: Settings, to: Pointer, previous: str | None, etag: str | None) -> str:
    """Write champion.json if its ETag is still `etag` (None: if there is none yet); return the new ETag."""
    content: dict[str, Any] = {
        "release_id": to.release_id,
        "manifest_sha256": to.manifest_sha256,
        "promoted_at": datetime.now(UTC).isoformat(),
        "previous": previous,
        "earlier": [name for name in to.earlier if name != to.release_id][:REMEMBERED],
    }
    condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
    with plain_errors(settings, f"make release {to.release_id} champion"):
        answer = object_client(settings).put_object(
            Bucket=settings.object_store.bucket, Key=POINTER_KEY, Body=canonical(content), **condition
        )
    return str(answer["ETag"])
