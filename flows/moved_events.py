"""Events whose time a shop corrected: they lie in one window of the lake, and the export has them in another now."""

import duckdb
import pyarrow as pa

from flows.connection import literal
from flows.lake import arrow_dataset
from flows.settings import Settings
from flows.sources.mapping import Mapping
from flows.spool_files import LIVE_SOURCE

#: What an export names to be landed; a row that is held takes no other's place.
_GOOD = "(select event_id, _window from incoming_events where _row not in (select _row from held))"


def may_move(mapping: Mapping) -> bool:
    """Whether an event keeps its id when its time changes: it has the shop's own, or the time is no part of it.

    Live events have an id: serving gave those that came without one theirs.
    """
    if mapping.source == LIVE_SOURCE:
        return True
    sections = mapping.sections_of("events")
    return any("event_id" in section.columns or "event_time" not in section.key for section in sections)


def windows_left(settings: Settings, connection: duckdb.DuckDBPyConnection, source: str) -> list[str]:
    """The windows of the lake with an event that the export (`incoming_events`, `held`) has in other windows alone."""
    connection.register("lake_events", arrow_dataset(settings, "events"))
    mine = f'select event_id, "window" from lake_events where source = {literal(source)}'
    rows = connection.execute(
        f'select distinct "window" from ({mine}) semi join {_GOOD} using (event_id) anti join '
        '(select event_id, _window as "window" from incoming_events) using (event_id, "window") order by 1'
    ).fetchall()
    connection.unregister("lake_events")
    return [str(row[0]) for row in rows]


def moved_away(connection: duckdb.DuckDBPyConnection, rows: pa.Table, window: str) -> pa.Table:
    """Those events of a window that the export (`incoming_events`, `held`) has in other windows alone."""
    connection.register("lying", rows)
    gone = connection.sql(
        f"select * from lying semi join {_GOOD} using (event_id) "
        f"anti join (select event_id from incoming_events where _window = {literal(window)}) using (event_id)"
    ).to_arrow_table()
    connection.unregister("lying")
    return gone


def staying(connection: duckdb.DuckDBPyConnection, rows: pa.Table, gone: pa.Table) -> pa.Table:
    """The events of a window that stay when some go."""
    connection.register("lying", rows)
    connection.register("gone", gone)
    stays = connection.sql("select * from lying anti join gone using (event_id)").to_arrow_table()
    connection.unregister("lying")
    connection.unregister("gone")
    return stays
