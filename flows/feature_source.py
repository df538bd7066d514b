"""The lake as the transforms read it: one DuckDB connection with `events` and `items`, prepared."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb
import pyarrow.compute as pc
import pyarrow.dataset as ds

from feature_repo.prepared_events import EVENT_COLUMNS, microseconds, prepare
from flows.connection import connect
from flows.lake import arrow_dataset, table_version
from flows.settings import Settings

#: Events that serving took in; they belong to whichever shop is served.
LIVE_SOURCE = "live"
#: What DuckDB may hold while features are computed; with Feast, Great Expectations and Arrow a process stays below
#: 1.5 GiB on 1.4 million events. What does not fit goes to AISLE_HOME/staging/features.
MEMORY_LIMIT = "600MiB"
_LIVE_ARRIVALS = """
CREATE OR REPLACE TEMP TABLE live_arrivals AS
SELECT epoch_us(event_time) AS event_us, known_at FROM events WHERE source = $live
"""


@dataclass(frozen=True)
class LakeState:
    """Which state of the lake a computation saw: table versions, and the one shop it was narrowed to."""

    versions: dict[str, int]
    source: str | None

    @property
    def key(self) -> str:
        """A short hash of the state."""
        return hashlib.sha256(repr((sorted(self.versions.items()), self.source)).encode()).hexdigest()[:16]


def lake_state(settings: Settings, source: str | None = None) -> LakeState:
    """Return the lake's state now."""
    return LakeState({name: table_version(settings, name) for name in ("events", "items")}, source)


@contextmanager
def open_events(settings: Settings, source: str | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a connection prepared for every transform, over the events of one shop (and live ones) or of all.

    Raises LookupError when there is no event.
    """
    with open_items(settings, source) as connection:
        # One narrow pass with little read ahead: half the time and memory of three scans of the dataset.
        scanner = arrow_dataset(settings, "events").scanner(
            columns=[*EVENT_COLUMNS, "source"], filter=_of_source(source), batch_readahead=1, fragment_readahead=1
        )
        connection.register("lake_events", scanner.to_reader())
        connection.execute("CREATE TEMP TABLE events AS SELECT * FROM lake_events")
        connection.unregister("lake_events")
        if connection.execute("SELECT 1 FROM events LIMIT 1").fetchone() is None:
            raise LookupError(_no_events(settings, source))
        prepare(connection)
        connection.execute(_LIVE_ARRIVALS, {"live": LIVE_SOURCE})
        connection.execute("DROP TABLE events")
        yield connection


def newest_arrival(connection: duckdb.DuckDBPyConnection, as_of: datetime) -> datetime | None:
    """Return when the newest of those live events arrived that features as of a moment hold; None without any.

    The spool is sealed whole before it lands, so what serving took in up to then has landed with it.
    """
    query = "SELECT max(known_at) FROM live_arrivals WHERE event_us < $as_of"
    (newest,) = connection.execute(query, {"as_of": microseconds(as_of)}).fetchone() or (None,)
    return newest.astimezone(UTC) if newest else None


@contextmanager
def open_items(settings: Settings, source: str | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a connection with the relation `items`, the catalogue of one shop or of all."""
    scratch = settings.home / "staging"  # what a killed run spills there goes with its other leavings, a day later
    scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    connection = connect(scratch)
    connection.execute("SET memory_limit = ?", [MEMORY_LIMIT])
    # Row order means nothing to the transforms, and keeping it costs memory.
    connection.execute("SET preserve_insertion_order = false")
    connection.register("items", arrow_dataset(settings, "items").to_table(filter=_of_source(source)))
    try:
        yield connection
    finally:
        connection.close()


def event_span(settings: Settings, source: str | None = None) -> tuple[datetime, datetime]:
    """Return the first and the newest event_time of the lake, of one shop (and live) or of all, in UTC.

    Raises LookupError when there is no event.
    """
    scanner = arrow_dataset(settings, "events").scanner(columns=["event_time"], filter=_of_source(source))
    ends = [pc.min_max(batch["event_time"]).as_py() for batch in scanner.to_batches() if len(batch)]
    if not ends:
        raise LookupError(_no_events(settings, source))
    return (
        min(end["min"] for end in ends).astimezone(UTC),
        max(end["max"] for end in ends).astimezone(UTC),
    )


def _of_source(source: str | None) -> ds.Expression:
    return ds.field("source").is_valid() if source is None else ds.field("source").isin([source, LIVE_SOURCE])


def _no_events(settings: Settings, source: str | None) -> str:
    if settings.known_at is not None:
        return f"The lake had no events{_of(source)} at {settings.known_at:%Y-%m-%d %H:%M} UTC. Name a later moment."
    known = pc.unique(arrow_dataset(settings, "events").to_table(columns=["source"])["source"]).to_pylist()
    if source is None or not known:
        return "The lake has no events yet. Land some first: aisle ingest --source complete_journey"
    return (
        f"The lake has no events{_of(source)}. Shops that have some: {', '.join(sorted(known))}. Name one of them, "
        "or land this one first: aisle ingest"
    )


def _of(source: str | None) -> str:
    return "" if source is None else f" of a shop {source!r}"
