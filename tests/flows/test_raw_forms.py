"""The raw form of a staged row, made when it is asked for: as the row came, whatever the section that read it."""

import json
from pathlib import Path

import duckdb
import pytest

from flows.connection import connect
from flows.ingest import open_export
from flows.judging import load_raw, open_staged
from flows.settings import Settings
from flows.sources.staging import StagedTable, stage_table
from tests.flows.tiny_shop import MAPPING, NOW, SALES, sale, write_shop

#: The same row twice, and rows that differ in one column only.
ROWS = [*SALES, sale(), sale(till="4"), sale(qty="many", line_total="", till="9")]
JOINED = MAPPING.replace(
    '[events]\nfiles = "sales*.csv"\nnumbers = ["qty", "line_total"]',
    '[inputs]\nsold = { files = "sales*.csv", numbers = ["qty", "line_total"] }\nshelves.files = "products.csv"\n'
    '[events]\nfrom = "sold left join shelves using (sku)"',
)


def staged(settings: Settings, folder: Path, mapping: str) -> StagedTable:
    export = open_export(settings, write_shop(folder / "shop", ROWS, mapping), None, None, None)
    return stage_table(export, "events", folder, settings.pseudonym_key)


def loaded(connection: duckdb.DuckDBPyConnection) -> list[tuple[int, dict[str, str | None]]]:
    rows = connection.execute("select _row, raw from raw_events order by _row").fetchall()
    return [(row, json.loads(raw)) for row, raw in rows]


@pytest.mark.parametrize("mapping", [MAPPING, JOINED], ids=["files", "a join"])
def test_a_row_that_is_asked_for_comes_as_it_was_and_no_other_is_made(settings: Settings, tmp_path: Path, mapping: str):
    table = staged(settings, tmp_path, mapping)
    columns = duckdb.sql(f"select * from read_parquet('{table.files[0]}')").columns
    assert "_raw" not in columns
    connection = connect(tmp_path)
    open_staged(connection, table, NOW)
    assert loaded(connection) == []
    load_raw(connection, table, tmp_path, "select _row from incoming_events where _uncast is not null")
    ((_, row),) = loaded(connection)
    assert (row["qty"], row["line_total"], row["till"]) == ("many", None, "9")
    assert row["customer"] != "card-17"
    load_raw(connection, table, tmp_path, "select _row from incoming_events")
    found = loaded(connection)
    assert [number for number, _ in found] == list(range(len(ROWS)))
    kept = ("sold_at", "sku", "action", "qty", "line_total", "till")
    came = sorted(str([row[name] or "" for name in kept]) for _, row in found)
    assert came == sorted(str([row[name] for name in kept]) for row in ROWS)


def test_a_catalogue_made_of_events_still_has_their_raw_rows(settings: Settings, tmp_path: Path):
    mapping = MAPPING[: MAPPING.index("[items]")] + "[items]\nfrom_events = true\n"
    table = staged(settings, tmp_path, mapping)
    connection = connect(tmp_path)
    open_staged(connection, table, NOW)
    assert len(loaded(connection)) == len(ROWS)
