"""What serving acknowledged reaches the lake: bad neighbours do not block it, an id that comes twice is one event."""

import os
import time

import pytest

from expectations.validate import DataRejected
from feature_repo.schema import EVENTS
from flows import lake
from flows.settings import Settings
from flows.spool_files import put_away, seal_spool
from serving.spool import Spool, append_events, open_spool
from tests.flows.tiny_shop import land, rows_of, sale, write_shop

pytestmark = pytest.mark.slow


def event(event_id: str, moment: str, item: str = "A1") -> dict[str, object]:
    """A live event as serving spools it."""
    times = {"event_time": moment, "known_at": moment}
    named = {"event_id": event_id, "user_id": "u_" + "0" * 24, "item_id": item, "event_type": "view", "channel": "web"}
    return {**dict.fromkeys(EVENTS.column_names), **named, **times, "source": "live"}


def land_spool(settings: Settings) -> None:
    sealed = seal_spool(settings.spool_path)
    land(settings, "live")
    put_away(sealed, True)


def live_events(settings: Settings) -> list[str]:
    return sorted(str(row["event_id"]) for row in rows_of(settings, "events") if row["source"] == "live")


def test_many_unknown_items_are_held_and_block_no_other_live_event_but_refuse_an_export(settings, tmp_path):
    land(settings, write_shop(tmp_path))
    items = ["A1"] * 30 + ["not there"] * 10
    rows = [event(f"e{number:02d}", f"2026-10-05T10:59:{number:02d}+00:00", item) for number, item in enumerate(items)]
    append_events(Spool(settings.spool_path), rows)
    land_spool(settings)
    assert live_events(settings) == [f"e{number:02d}" for number in range(30)]
    assert lake.read_table(settings, "quarantine").num_rows == 10

    sales = [sale(sold_at=f"2026-10-01 09:30:{number:02d}", sku=sku) for number, sku in enumerate(items)]
    with pytest.raises(DataRejected, match="few_rows_held"):
        land(settings, write_shop(tmp_path, sales))


def test_an_id_that_two_processes_took_at_two_times_is_one_event_in_the_lake(settings, tmp_path):
    land(settings, write_shop(tmp_path))
    first, second = Spool(settings.spool_path), Spool(settings.spool_path)
    append_events(first, [event("same", "2026-10-05T10:59:59.900000+00:00")])
    land_spool(settings)
    append_events(second, [event("same", "2026-10-05T11:00:01+00:00")])
    land_spool(settings)
    assert live_events(settings) == ["same"]
    append_events(first, [event("both", "2026-10-06T10:59:59.900000+00:00")])
    append_events(second, [event("both", "2026-10-06T11:00:01+00:00")])
    land_spool(settings)
    assert live_events(settings) == ["both", "same"]


def test_a_server_that_starts_knows_the_ids_of_all_files_of_two_days_however_they_are_named(settings):
    folder = settings.spool_path
    for number in range(30):
        append_events(Spool(folder), [event(f"e{number:02d}", "2026-10-05T10:59:00+00:00")])
        (fresh,) = seal_spool(folder)
        (folder / "landed").mkdir(exist_ok=True)
        fresh.rename(folder / "landed" / f"events-2026-10-{30 - number:02d}-1.sealed.jsonl")
    old = folder / "landed" / "events-2026-10-30-1.sealed.jsonl"
    os.utime(old, (time.time() - 3 * 86_400,) * 2)
    known = open_spool(folder).event_ids
    assert [f"e{number:02d}" in known for number in range(30)] == [False] + [True] * 29
