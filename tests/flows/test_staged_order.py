"""Staged rows are in the order of what they say; what all of them say alike costs the sort nothing and is not lost."""

import hashlib
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flows.sources.columns import Expression
from flows.sources.mapping import load_mapping
from flows.sources.staged_rows import constants
from flows.sources.staging import Export, stage_table
from tests.flows.staged_files import rows_in
from tests.flows.tiny_shop import MAPPING, SALES, sale, write_shop


def test_a_column_that_all_rows_have_alike_is_in_each_staged_row(tmp_path: Path):
    said = MAPPING.replace("[events.columns]", "[events.columns]\ntext = \"'it''s (a) till) as varchar'\"")
    shop = write_shop(tmp_path, [*SALES[::-1], sale(sold_at="2026-10-09 08:00:00")], mapping=said)
    table = stage_table(Export(load_mapping(shop)), "events", tmp_path, b"key")
    staged = rows_in(table)
    assert not {"text", "source", "known_at"} & set(pq.read_schema(table.files[0]).names)
    times = [row["event_time"] for row in staged]
    assert times == sorted(times)
    assert len(times) == len(SALES) + 1
    assert {(row["text"], row["source"], row["known_at"]) for row in staged} == {
        ("it's (a) till) as varchar", "corner_shop", None)
    }
    assert len({row["event_id"] for row in staged}) == len(staged)


def test_only_a_bare_value_is_alike_in_all_rows():
    expressions = {
        "event_id": "cast(null as varchar)",
        "currency": "cast(('USD') as varchar)",
        "channel": "cast(('it''s') as varchar)",
        "known_at": "cast(null as timestamptz)",
        "text": "cast(('a' || \"till\" || 'b') as varchar)",
        "basket_id": "cast((random()) as varchar)",
        "item_id": 'cast(("sku") as varchar)',
    }
    found = constants({name: Expression(value) for name, value in expressions.items()})
    assert set(found) == {"currency", "channel", "known_at"}
    assert not constants({"quantity": Expression("cast(null as double)", "case when 1 then 'came' end")})


@pytest.mark.parametrize("count", ["", 'duplicates = "count"\n'], ids=["made after the sort", "numbered before it"])
def test_an_event_id_is_the_hash_of_the_columns_that_the_mapping_names(tmp_path: Path, count: str):
    key = 'event_id = ["user_id", "event_time", "item_id", "event_type"]'
    named = key.replace("]", ', "currency", "session_id", "known_at"]\n') + count
    shop = write_shop(tmp_path, SALES[:1], mapping=MAPPING.replace(key, named))
    (row,) = rows_in(stage_table(Export(load_mapping(shop)), "events", tmp_path, b"key"))
    moment = str(int(row["event_time"].timestamp() * 1_000_000))
    told = ["corner_shop", row["user_id"], moment, row["item_id"], row["event_type"], "EUR", chr(30), chr(30)]
    assert row["event_id"] == "e_" + hashlib.sha256(chr(31).join(told).encode()).hexdigest()[:32]
