"""A hold in the object store: while it is there no release becomes champion, but for a way back.

The nightly comparison sets it when a feature is not served as it is computed, and takes it away when all are again.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from flows.object_client import ObjectMissing, ObjectStoreError, object_client, plain_errors
from flows.settings import Settings

KEY = "holds/served_features.json"


class PromotionHeld(ObjectStoreError):
    """No release may become champion now."""


def require_no_hold(settings: Settings) -> None:
    """Raise PromotionHeld, with the features that it is about, while there is a hold."""
    try:
        with plain_errors(settings, "look for a hold"):
            body = object_client(settings).get_object(Bucket=settings.object_store.bucket, Key=KEY)["Body"].read()
    except ObjectMissing:
        return
    hold = json.loads(body)
    raise PromotionHeld(
        f"No release is promoted: since {hold['at']} serving does not read {', '.join(hold['features'])} as it is "
        "computed (artifact `served-features`). Mend it and run the deployment compare-features-nightly, or lift the "
        f"hold by hand: delete {KEY} from bucket {settings.object_store.bucket!r}. "
        "`aisle release rollback` works all the same."
    )


def set_hold(settings: Settings, features: Sequence[str]) -> None:
    """Hold promotions for these features; with none, lift the hold."""
    client, bucket = object_client(settings), settings.object_store.bucket
    with plain_errors(settings, "write the hold"):
        if features:
            body = {"features": list(features), "at": datetime.now(UTC).isoformat(timespec="seconds")}
            client.put_object(Bucket=bucket, Key=KEY, Body=json.dumps(body).encode())
        else:
            client.delete_object(Bucket=bucket, Key=KEY)
