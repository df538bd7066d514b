"""A made shop in a few rows: an export as CSV, JSON lines or parquet, its mapping, and a plain run without Prefect."""

import gzip
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from expectations.validate import raise_if_refused
from flows import judging, lake, landing
from flows.ingest import open_export
from flows.landing import TableSummary
from flows.settings import Settings
from flows.sources.staging import Export, stage_table

NOW = datetime(2026, 11, 1, tzinfo=UTC)
LATER = datetime(2026, 11, 2, tzinfo=UTC)
MAPPING = """
source = "corner_shop"
currency = "EUR"
channel = "store"
window = "day"

[events]
files = "sales*.csv"
numbers = ["qty", "line_total"]
event_types = { bought = "purchase", looked = "view" }
event_id = ["user_id", "event_time", "item_id", "event_type"]
[events.columns]
event_time = "sold_at"
user_id = "customer"
item_id = "sku"
event_type = "action"
quantity = "qty"
unit_price = "line_total / nullif(qty, 0)"

[items]
files = "products.csv"
[items.columns]
item_id = "sku"
title = "name"
category = "shelf"
price = "price"
"""
Row = dict[str, str]


def sale(**changes: str) -> Row:
    """One raw row; every value is text, as in a CSV file."""
    row = {
        "sold_at": "2026-10-01 09:30:00",
        "customer": "card-17",
        "sku": "A1",
        "action": "bought",
        "qty": "2",
        "line_total": "5.00",
        "till": "3",
    }
    return row | changes


SALES = [
    sale(),
    sale(sku="B2", line_total="1.20", qty="1"),
    sale(customer="card-99", sku="B2", action="looked", qty="", line_total=""),
    sale(sold_at="2026-10-02 18:00:00"),
    sale(sold_at="2026-10-02 18:05:00", customer="card-99"),
    sale(sold_at="2026-10-03 08:00:00", customer="card-5", sku="B2"),
]
PRODUCTS = [
    {"sku": "A1", "name": "Oat milk", "shelf": "Dairy > Milk", "price": "2.50"},
    {"sku": "B2", "name": "Rye bread", "shelf": "Bakery", "price": "1.20"},
]


def write_csv(path: Path, rows: Sequence[Row], delimiter: str = ",") -> Path:
    """Write rows as CSV (gzipped when the name ends in .gz)."""
    lines = [delimiter.join(rows[0])] + [delimiter.join(row.values()) for row in rows]
    data = ("\n".join(lines) + "\n").encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_jsonl(path: Path, rows: Sequence[dict[str, object]]) -> Path:
    """Write rows as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_parquet(path: Path, rows: Sequence[dict[str, object]]) -> Path:
    """Write rows as parquet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def write_shop(folder: Path, sales: Sequence[Row] = SALES, mapping: str = MAPPING) -> str:
    """Write the whole shop into a folder; return its mapping file."""
    write_csv(folder / "sales.csv", sales)
    write_csv(folder / "products.csv", PRODUCTS)
    (folder / "shop.toml").write_text(mapping)
    return str(folder / "shop.toml")


def land_export(
    settings: Settings, export: Export, now: datetime = NOW, replace: bool = False
) -> dict[str, TableSummary]:
    """What the flow does, as plain calls."""
    with landing.staging_folder(settings) as folder:
        tables = sorted(export.mapping.tables, key=lambda table: table != "events")
        staged = [stage_table(export, table, folder, settings.pseudonym_key) for table in tables]
        judged = judging.judge_tables(settings, export.mapping, staged, folder, now)
        for table in judged:
            if table.verdict is not None:
                raise_if_refused(table.verdict)
        landed = [landing.land_table(settings, export.mapping, table, now, replace=replace) for table in judged]
    return {summary.table: summary for summary in landed}


def land(settings: Settings, source: str, now: datetime = NOW, path: str | None = None) -> dict[str, TableSummary]:
    """Land a mapping's export; checks that no row was lost."""
    summaries = land_export(settings, open_export(settings, source, path, None, None), now)
    for summary in summaries.values():
        assert summary.rows_in == summary.rows_written + summary.rows_held
    return summaries


def rows_of(settings: Settings, name: str, *without: str) -> list[dict[str, object]]:
    """All rows of a table of the lake, in a fixed order, some columns left out."""
    rows = [{k: v for k, v in row.items() if k not in without} for row in lake.read_table(settings, name).to_pylist()]
    return sorted(rows, key=str)


def end_state(settings: Settings) -> dict[str, list[dict[str, object]]]:
    """All that a run leaves in the lake, but for the moments and versions that differ from run to run."""
    moving = ("known_at", "updated_at", "finished_at", "table_version")
    return {name: rows_of(settings, name, *moving) for name in ("events", "items", "quarantine", "windows")}


def held(settings: Settings) -> dict[str, str]:
    """Rule → reason of the held rows."""
    return {str(row["rule"]): str(row["reason"]) for row in rows_of(settings, "quarantine")}
