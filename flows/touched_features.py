"""Bring features and online values up to a lake that changed in its past: what the change touched is built again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from feature_repo.features import FEATURE_VIEWS, USER_VIEWS
from flows.feature_moments import serving_moment
from flows.feature_source import event_span
from flows.feature_store import feature_store
from flows.feature_tables import Publish, build_tables, read_snapshot, snapshot_moments
from flows.online_rows import load_view, newest_complete_moment, read_ledger
from flows.settings import Settings


@dataclass(frozen=True)
class Refreshed:
    """What a refresh did: feature tables built again, of how many; views online anew; the newest moment (or None)."""

    built: int
    tables: int
    loaded: int
    as_of: datetime | None


def refresh_touched(settings: Settings, publish: Publish | None = None) -> Refreshed:
    """Build those feature tables again whose events or catalogue changed, and load their rows where they are online.

    Tables whose moment lies before the change stay as they are. A shop whose newest event is newer now gets tables of
    the new moment. Where no tables were ever built there is nothing to bring up; where the first build was cut off
    there is nothing to load. Raises DataRejected.
    """
    built = tables = 0
    found = _tables_by_source(settings)
    newest = {source: max(max(moments) for moments in wanted.values()) for source, wanted in found.items()}
    for source, wanted in found.items():
        moment = serving_moment(event_span(settings, source)[1])
        if newest[source] == max(newest.values()) and moment > newest[source]:
            wanted = {view: (*wanted.get(view, ()), moment) for view in FEATURE_VIEWS}
        report = build_tables(settings, wanted, source, publish)
        built, tables = built + report.built, tables + len(report.snapshots)
    if not tables:
        return Refreshed(0, 0, 0, None)
    feature_store(settings)
    try:
        as_of = newest_complete_moment(settings)
    except LookupError:
        return Refreshed(built, tables, 0, None)
    return Refreshed(built, tables, _load_again(settings, as_of), as_of)


def _tables_by_source(settings: Settings) -> dict[str | None, dict[str, Sequence[datetime]]]:
    """The feature tables that are there: by the shop they were narrowed to, view → moments."""
    found: dict[str | None, dict[str, list[datetime]]] = {}
    for view in FEATURE_VIEWS:
        for as_of in snapshot_moments(settings, view):
            snapshot = read_snapshot(settings, view, as_of)
            if snapshot is not None:
                found.setdefault(snapshot.source, {}).setdefault(view, []).append(as_of)
    return {source: {view: tuple(moments) for view, moments in views.items()} for source, views in found.items()}


def _load_again(settings: Settings, as_of: datetime) -> int:
    """Load the views that were online before; what is there already is not written again."""
    before = read_ledger(settings)
    online = [view.name for view in USER_VIEWS if any(entry.view == view.name for entry in before.values())]
    for view in online:
        load_view(settings, view, as_of)
    after = read_ledger(settings)
    return sum(after[key] != before.get(key) for key in after)
