"""The shop's rules in the object store: published beside the champion's pointer, each under a version of its own.

`rules.json` is what serving reads. Each version is kept as rules/<version>.json, too: answers cite it, so its number is
never given again, though `rules.json` be lost or put back from an old copy.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from feature_repo.slate_rules import RULES_KEY, PublishedRules, Rule, content_hash, publication, read_publication
from flows.object_client import ObjectMissing, WriteConflict, object_client, plain_errors
from flows.settings import Settings

_KEPT = "rules/"


def publish_rules(settings: Settings, rules: Sequence[Rule]) -> tuple[PublishedRules, bool]:
    """Make these the shop's rules, under the next version; return them, and whether anything changed.

    The rules in use already are not published again. Raises WriteConflict when somebody else published meanwhile,
    RulesError when what is in the store are no rules.
    """
    before, etag = _read(settings, RULES_KEY)
    if before is not None and before.sha256 == content_hash(rules):
        return before, False
    if before is not None:
        _keep(settings, before)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    published, body = publication(_newest_kept(settings) + 1, rules, now)
    condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
    with plain_errors(settings, f"publish version {published.version} of the rules"):
        object_client(settings).put_object(
            Bucket=settings.object_store.bucket, Key=RULES_KEY, Body=body, ContentType="application/json", **condition
        )
    _keep(settings, published)
    return published, True


def read_rules(settings: Settings, version: int | None = None) -> PublishedRules | None:
    """Read the rules in use, or those of an earlier version; None where there are none."""
    current, _ = _read(settings, RULES_KEY)
    if version is None or (current is not None and current.version == version):
        return current
    return _read(settings, _kept_key(version))[0]


def _read(settings: Settings, key: str) -> tuple[PublishedRules | None, str]:
    try:
        with plain_errors(settings, f"read {key}"):
            answer = object_client(settings).get_object(Bucket=settings.object_store.bucket, Key=key)
            return read_publication(answer["Body"].read()), answer["ETag"]
    except ObjectMissing:
        return None, ""


def _keep(settings: Settings, rules: PublishedRules) -> None:
    """Write a version to its own place, where it may be already."""
    _, body = publication(rules.version, rules.rules, rules.published_at)
    try:
        with plain_errors(settings, f"keep version {rules.version} of the rules"):
            object_client(settings).put_object(
                Bucket=settings.object_store.bucket, Key=_kept_key(rules.version), Body=body, IfNoneMatch="*"
            )
    except WriteConflict:
        return


def _newest_kept(settings: Settings) -> int:
    newest = 0
    with plain_errors(settings, "list the versions of the rules"):
        pages = object_client(settings).get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=settings.object_store.bucket, Prefix=_KEPT):
            names = [entry["Key"].removeprefix(_KEPT).removesuffix(".json") for entry in page.get("Contents", [])]
            newest = max([newest, *(int(name) for name in names if name.isdecimal())])
    return newest


def _kept_key(version: int) -> str:
    return f"{_KEPT}{version:06d}.json"
