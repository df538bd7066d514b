"""The shop's rules, followed as they are published: good ones are used within seconds, bad ones change nothing."""

import logging
import secrets
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from feature_repo.slate_rules import MOST_BYTES, RULES_KEY, PublishedRules, RulesError, read_publication

LOG = logging.getLogger("serving")
_UNCHANGED = ("304", "NotModified")
_MISSING = ("NoSuchKey", "404", "NotFound")


class RuleSource:
    """Where rules come from: the object store, and a copy on disk for a start without it. For one thread."""

    def __init__(self, bucket: str, cache: Path) -> None:
        self.bucket = bucket
        self.kept = cache / RULES_KEY
        self.etag: str | None = None
        self.problem: str | None = None

    def newer(self, client: Any, current: PublishedRules | None) -> PublishedRules | None:
        """Return rules that are not in use yet, else None: none are new, the store is away, or they are refused.

        Rules that are gone from the store stay in use: what a shop has blocked is not shown because a store forgot it.
        An empty file published ends them.
        """
        try:
            body = self._changed(client)
            if body is None:
                return None
            found = read_publication(body)
        except RulesError as error:
            self._refuse(f"the rules in the store are refused, the ones before stay: {error}")
            return None
        except (ClientError, BotoCoreError, OSError) as error:
            if not (isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") in _MISSING):
                LOG.debug("the rules cannot be read: %s", error)
            return None
        self.problem = None
        self._keep(body)
        return None if current is not None and found == current else found

    def from_disk(self) -> PublishedRules | None:
        """Return the rules that were used last on this machine, None where there are none or they are broken."""
        try:
            return read_publication(self.kept.read_bytes())
        except FileNotFoundError:
            return None
        except (RulesError, OSError) as error:
            self._refuse(f"the rules kept on disk cannot be used: {error}")
            return None

    def _changed(self, client: Any) -> bytes | None:
        condition = {} if self.etag is None else {"IfNoneMatch": self.etag}
        try:
            answer = client.get_object(Bucket=self.bucket, Key=RULES_KEY, **condition)
        except ClientError as error:
            if str(error.response.get("Error", {}).get("Code")) in _UNCHANGED:
                return None
            raise
        body: bytes = answer["Body"].read(4 * MOST_BYTES)
        self.etag = answer.get("ETag")
        return body

    def _keep(self, body: bytes) -> None:
        try:
            self.kept.parent.mkdir(parents=True, exist_ok=True)
            fresh = self.kept.with_name(f".{RULES_KEY}.{secrets.token_hex(4)}")
            fresh.write_bytes(body)
            fresh.replace(self.kept)
        except OSError as error:
            LOG.warning("the rules cannot be kept on disk: %s", error)

    def _refuse(self, problem: str) -> None:
        if problem != self.problem:
            LOG.warning("%s", problem)
        self.problem = problem
