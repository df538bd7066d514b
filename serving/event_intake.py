"""A pushed event's way in: pseudonym, time, id; the spool first, then the online store, so the next answer knows it."""

import hashlib
import re
import secrets
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from feature_repo.schema import INTERACTION_TYPES, pseudonym
from serving.contract import Event, EventsReceipt
from serving.event_times import event_moments
from serving.history import Interaction
from serving.metrics import Metrics
from serving.online_rows import OnlineStoreUnavailable
from serving.problems import FieldError, Problem
from serving.release import Release
from serving.spool import PROBE_SOURCE, Spool, SpoolFull, append_events

#: How far ahead of our clock a client's may be.
AHEAD = timedelta(minutes=5)
SOURCE = "live"
#: Users of our own that try the way of an event (flows/probe.py); what they do never reaches the lake.
PROBE_PREFIX = "aisle-probe:"


@dataclass(frozen=True)
class Intake:
    """Where events go: the spool, and the online store of the release in use."""

    spool: Spool
    pseudonym_key: bytes
    metrics: Metrics


def take_events(intake: Intake, release: Release, events: list[Event], now: datetime) -> EventsReceipt:
    """Store the events and bring their users' online rows up to date.

    Raises Problem 422 when an event is from the future, 503 when they cannot be stored; then none of them counts.
    """
    _refuse_the_future(events, now)
    _refuse_mixed_probes(events)
    users = [event.pseudonym or pseudonym(event.user_id or "", intake.pseudonym_key) for event in events]
    moments = event_moments(release, events, users, now, intake.metrics)
    arrived = datetime.now(UTC)  # by the wall: the release clock starts again with the process
    rows = [_row(*each, arrived) for each in zip(events, users, moments, strict=True)]
    try:
        new = append_events(intake.spool, rows)
    except SpoolFull as error:
        intake.metrics.events.labels("refused").inc(len(events))
        raise Problem(
            503, "cannot-store", "Events cannot be stored now", "None was taken; send them again later.", retry_after=10
        ) from error
    fresh = [row for row, is_new in zip(rows, new, strict=True) if is_new]
    intake.metrics.events.labels("accepted").inc(len(fresh))
    intake.metrics.events.labels("duplicate").inc(len(rows) - len(fresh))
    notes: list[str] = []
    updated = _update_online(intake, release, fresh, arrived, notes)
    return EventsReceipt(
        accepted=len(fresh),
        duplicates=len(rows) - len(fresh),
        updated_users=updated,
        event_ids=[row["event_id"] for row in rows],
        notes=notes,
    )


def _refuse_the_future(events: list[Event], now: datetime) -> None:
    latest = now + AHEAD
    errors = [
        FieldError(
            pointer=f"#/events/{position}/event_time",
            detail=f"expected a time up to {latest:%Y-%m-%dT%H:%M:%SZ}, but found {event.event_time.isoformat()}",
        )
        for position, event in enumerate(events)
        if event.event_time is not None and event.event_time > latest
    ]
    if errors:
        problem = Problem(
            422, "event-from-the-future", "An event is from the future", "None was taken; check the sender's clock."
        )
        problem.document.errors = errors[:20]
        raise problem


def _refuse_mixed_probes(events: list[Event]) -> None:
    if len({_is_probe(event) for event in events}) > 1:
        detail = f"Expected events of probe users ({PROBE_PREFIX}…) or of others, but found both. None was taken."
        raise Problem(422, "probe-among-others", "The probe's events come alone", detail)


def _is_probe(event: Event) -> bool:
    return (event.user_id or "").startswith(PROBE_PREFIX)


def _row(event: Event, user: str, moment: datetime, arrived: datetime) -> dict[str, Any]:
    row = {
        "event_id": _without_user(event.event_id, event, user),
        "event_time": moment.isoformat(timespec="microseconds"),
        "known_at": arrived.isoformat(timespec="microseconds"),
        "user_id": user,
        "item_id": event.item_id,
        "event_type": event.event_type,
        "channel": event.channel,
        "session_id": _without_user(event.session_id, event, user),
        "basket_id": _without_user(event.basket_id, event, user),
        "quantity": event.quantity,
        "unit_price": event.unit_price,
        "discount": event.discount,
        "currency": event.currency,
        "text": event.text,
        "source": PROBE_SOURCE if _is_probe(event) else SOURCE,
    }
    if event.event_id is None:
        row["event_id"] = _id_of_content(row) if event.event_time else f"e_{secrets.token_hex(12)}"
    return row


def _without_user(name: str | None, event: Event, user: str) -> str | None:
    """An id of the sender's with the pseudonym where it has the user's own id as a word: `anna@mail.at/7`."""
    if name is None or event.user_id is None:
        return name
    return re.sub(rf"(?<![^\W_]){re.escape(event.user_id.strip())}(?![^\W_])", user, name)


def _id_of_content(row: dict[str, Any]) -> str:
    content = orjson.dumps({name: value for name, value in row.items() if name not in ("event_id", "known_at")})
    return "e_" + hashlib.sha256(content).hexdigest()[:24]


def _update_online(
    intake: Intake, release: Release, rows: list[dict[str, Any]], arrived: datetime, notes: list[str]
) -> int:
    by_user: dict[str, list[Interaction]] = defaultdict(list)
    for row in rows:
        # An item that the release does not know would only push a known one out of the history.
        if row["event_type"] in INTERACTION_TYPES and row["item_id"] in release.catalogue.index:
            moment = int(datetime.fromisoformat(row["event_time"]).timestamp())
            by_user[row["user_id"]].append(Interaction(row["item_id"], row["event_type"], moment))
    if unknown := sum(row["item_id"] not in release.catalogue.index for row in rows if row["item_id"]):
        one = "1 event is of an item outside this release; it waits for the next one."
        several = f"{unknown} events are of items outside this release; they wait for the next one."
        notes.append(one if unknown == 1 else several)
    updated = 0
    for user, fresh in by_user.items():
        try:
            if release.online is None:
                raise OnlineStoreUnavailable("the online store could not be opened with this release")
            release.online.push(user, fresh, arrived)
            updated += 1
        except OnlineStoreUnavailable:
            intake.metrics.online_store_errors.labels("write").inc()
    if updated < len(by_user):
        notes.append("The online store cannot be written now; the events are kept and will count after ingest.")
    return updated
