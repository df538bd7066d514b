"""The shop's rules in the object store: published beside the champion's pointer, each under a version of its own.

`rules.json` is what serving reads. Before it is replaced, the rules it holds are kept as rules/<version>.json.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from feature_repo.slate_rules import RULES_KEY, PublishedRules, Rule, content_hash, publication, read_publication
from flows.object_client import ObjectMissing, WriteConflict, object_client, plain_errors
from flows.settings import Settings


def publish_rules(settings: Settings, rules: Sequence[Rule]) -> tuple[PublishedRules, bool]:
    """Make these the shop's rules, under the next version; return them, and whether anything changed.

    The rules in use already are not published again. Raises WriteConflict when somebody else published meanwhile,
    RulesError when what is in the store are no rules.
    """
    before, etag = _read(settings, RULES_KEY)
    if before is not None and before.sha256 == content_hash(rules):
        return before, False
    now = datetime.now(UTC).isoformat(timespec="seconds")
    published, body = publication(1 if before is None else before.version + 1, rules, now)
    if before is not None:
        _keep(settings, before)
    condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
    with plain_errors(settings, f"publish version {published.version} of the rules"):
        object_client(settings).put_object(
            Bucket=settings.object_store.bucket, Key=RULES_KEY, Body=body, ContentType="application/json", **condition
        )
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
    """Write the version that goes to its own place; it is there already where a publishing was cut off."""
    _, body = publication(rules.version, rules.rules, rules.published_at)
    try:
        with plain_errors(settings, f"keep version {rules.version} of the rules"):
            object_client(settings).put_object(
                Bucket=settings.object_store.bucket, Key=_kept_key(rules.version), Body=body, IfNoneMatch="*"
            )
    except WriteConflict:
        return


def _kept_key(version: int) -> str:
    return f"rules/{version:06d}.json"
