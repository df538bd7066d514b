"""Every bad input: a clear message, nothing lost, nothing half-published."""

import gzip
import json
from pathlib import Path

import pytest

from expectations.validate import DataRejected
from feature_repo.schema import pseudonym
from flows import lake
from flows.settings import Settings
from flows.sources.mapping_keys import ExportRejected
from tests.conftest import settings_in
from tests.flows.tiny_shop import (
    MAPPING,
    NOW,
    PRODUCTS,
    SALES,
    held,
    land,
    rows_of,
    sale,
    write_csv,
    write_jsonl,
    write_parquet,
    write_shop,
)

BAD_ROWS = [
    (sale(line_total="-4"), "unit_price_in_bounds", "came unit_price = -2.0"),
    (sale(action="stolen"), "event_type_allowed", "came event_type = stolen"),
    (sale(sold_at="2027-10-01 09:30:00"), "event_time_not_in_future", "came event_time = 2027-10-01"),
    (sale(sku="ZZ"), "item_id_known", "expected item_id an item of the catalogue; came item_id = ZZ"),
    (sale(qty="two"), "typed", "qty: expected a number, came two"),
    (sale(sold_at="yesterday"), "typed", "event_time: expected a time, came yesterday"),
    (sale(customer=""), "user_id_required", "came user_id = null"),
    (sale(sku=""), "interaction_has_item", "came event_type = purchase"),
    (sale(), "event_id_unique", "expected event_id once"),
    (sale(line_total="inf"), "unit_price_finite", "came unit_price = inf"),
]


@pytest.fixture(scope="module")
def landed_with_bad_rows(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake after an export with good rows and every bad one; each is known by its `till`, z0 to z9."""
    folder = tmp_path_factory.mktemp("bad")
    settings = settings_in(folder / "home")
    bad = [row | {"till": f"z{number}"} for number, (row, _, _) in enumerate(BAD_ROWS)]
    summary = land(settings, write_shop(folder, [*SALES, *bad]))["events"]
    assert (summary.rows_in, summary.rows_written, summary.rows_held) == (16, 6, 10)
    return settings


@pytest.mark.parametrize("number", range(len(BAD_ROWS)), ids=[f"{rule}-{reason}" for _, rule, reason in BAD_ROWS])
def test_a_bad_row_is_held_as_it_came_with_its_rule_and_reason_and_the_others_go_on(
    landed_with_bad_rows: Settings, number: int
):
    bad, rule, reason = BAD_ROWS[number]
    raws = {str(row["rule"]) + str(row["raw"]): row for row in rows_of(landed_with_bad_rows, "quarantine")}
    (row,) = [
        row
        for row in raws.values()
        if f'"till":"z{number}"' in str(row["raw"]) or (rule == "event_id_unique" == row["rule"])
    ]
    assert row["rule"] == rule
    assert reason in str(row["reason"])
    raw = json.loads(str(row["raw"]))
    customer = pseudonym(bad["customer"], landed_with_bad_rows.pseudonym_key) if bad["customer"] else None
    assert raw == {name: value or None for name, value in bad.items()} | {"customer": customer, "till": raw["till"]}
    assert len(rows_of(landed_with_bad_rows, "events")) == 6


def test_the_same_bad_row_three_times_is_held_three_times_and_not_again_by_the_next_run(
    settings: Settings, tmp_path: Path
):
    shop = write_shop(tmp_path, [*SALES, *[sale(line_total="-4", sku="B2")] * 3])
    assert land(settings, shop)["events"].rows_held == 3
    assert len({row["row_id"] for row in rows_of(settings, "quarantine")}) == 3
    write_shop(tmp_path, [*SALES, *[sale(line_total="-4", sku="B2")] * 4])
    assert land(settings, shop)["events"].rows_held == 4
    assert len(rows_of(settings, "quarantine")) == 4


def test_a_table_with_too_many_bad_rows_is_refused_before_anything_is_written(settings: Settings, tmp_path: Path):
    rows = [sale(sold_at=f"2026-10-01 09:{minute:02}:00", qty="two" if minute % 2 else "2") for minute in range(40)]
    with pytest.raises(DataRejected, match=r"(?s)Table events was refused.*few_rows_held.*What to do"):
        land(settings, write_shop(tmp_path, rows))
    assert {name: lake.table_version(settings, name) for name in ("events", "items", "quarantine", "windows")} == {
        "events": -1,
        "items": -1,
        "quarantine": -1,
        "windows": -1,
    }


def test_a_catalogue_that_is_refused_keeps_the_events_out_as_well(settings: Settings, tmp_path: Path):
    shop = write_shop(tmp_path)
    write_csv(tmp_path / "products.csv", [{**PRODUCTS[0], "sku": f"A{n}", "price": "-1"} for n in range(30)])
    with pytest.raises(DataRejected, match="Table items was refused"):
        land(settings, shop)
    assert rows_of(settings, "events") == []


def _half_a_parquet(folder: Path) -> None:
    path = write_parquet(folder / "sales.parquet", [dict(row) for row in SALES * 100])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _half_an_archive(folder: Path) -> None:
    path = write_csv(folder / "sales.csv.gz", [sale(sku=f"A{n}") for n in range(5000)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("files", "make", "told"),
    [
        ("sales.parquet", _half_a_parquet, ["sales.parquet", "expected a whole parquet file", "cut short"]),
        ("sales.csv.gz", _half_an_archive, ["sales.csv.gz", "whole gzip archive", "cut short"]),
        ("sales.csv", lambda f: (f / "sales.csv").write_bytes(b""), ["sales.csv", "distinct column names", "empty"]),
        ("sales.csv", lambda f: (f / "sales.csv").write_text("sold_at,qty\n1,2\n"), ["lacks the column 'line_total'"]),
        ("sales.parquet", lambda f: (f / "sales.parquet").write_bytes(b""), ["sales.parquet", "whole parquet file"]),
        ("sales.jsonl", lambda f: (f / "sales.jsonl").write_bytes(b""), ["expected rows for events", "none"]),
        ("nothing*.csv", lambda f: None, ["no file matches", "nothing*.csv", "--path"]),
        ("sales.dat", lambda f: (f / "sales.dat").write_text("x"), ["sales.dat", "csv, jsonl or parquet"]),
        ("sales.csv", lambda f: (f / "sales.csv").write_text("a,a\n1,2\n"), ["distinct column names", "'a,a'"]),
    ],
)
def test_an_export_that_cannot_be_read_whole_is_refused_by_file_and_nothing_is_written(
    settings: Settings, tmp_path: Path, files: str, make: object, told: list[str]
):
    shop = write_shop(tmp_path, mapping=MAPPING.replace("sales*.csv", files))
    make(tmp_path)  # type: ignore[operator]
    with pytest.raises(ValueError, match=r"(?s).+") as error:
        land(settings, shop)
    for words in told:
        assert words in str(error.value)
    assert lake.table_version(settings, "items") == lake.table_version(settings, "events") == -1
    assert not list((settings.home / "staging").iterdir())


def test_an_export_with_a_header_and_no_rows_is_refused(settings: Settings, tmp_path: Path):
    shop = write_shop(tmp_path)
    (tmp_path / "sales.csv").write_text(",".join(SALES[0]) + "\n")
    with pytest.raises(ExportRejected, match="expected rows for events, but the export has none"):
        land(settings, shop)


def test_a_column_of_a_wrong_type_is_refused_by_name(settings: Settings, tmp_path: Path):
    shop = write_shop(tmp_path, mapping=MAPPING.replace("sales*.csv", "sales.parquet").replace("qty, 0", "1, 0"))
    write_parquet(tmp_path / "sales.parquet", [{**row, "sold_at": 5, "qty": [1.0], "line_total": 2.0} for row in SALES])
    with pytest.raises(ExportRejected, match=r"events\.event_time: expected a time, but .* is of type BIGINT"):
        land(settings, shop)


def test_lines_that_are_no_rows_are_held_with_their_number_and_without_the_user_id(settings: Settings, tmp_path: Path):
    shop = write_shop(tmp_path)
    with (tmp_path / "sales.csv").open("a") as file:
        file.write("2026-10-04 10:00:00,card-1234,A1\n")
        file.write("2026-10-04 10:00:00,card-17,A1,bought,1,2.50,3,surplus\n")
        file.write("card-4711,A1,bought,1,2.50,3\n")
        file.write('2026-10-04 10:00:00,"card-1234,A1\n')
    summary = land(settings, shop)["events"]
    assert (summary.rows_written, summary.rows_held) == (6, 4)
    raws = [json.loads(str(row["raw"])) for row in rows_of(settings, "quarantine")]
    lines = {raw["line_number"]: raw["line"] for raw in raws}
    assert lines == dict.fromkeys((8, 9, 10, 11))
    assert "sales.csv came with: Expected Number of Columns: 7 Found: 3" in str(rows_of(settings, "quarantine"))
    assert land(settings, shop)["events"].rows_held == len(rows_of(settings, "quarantine")) == 4


def test_a_whole_line_in_another_encoding_is_held_with_the_pseudonym(settings: Settings, tmp_path: Path):
    shop = write_shop(tmp_path)
    with (tmp_path / "sales.csv").open("ab") as file:
        file.write("2026-10-04 10:00:00,card-1234,A1,bought,1,2.50,Café\n".encode("latin-1"))
    assert land(settings, shop)["events"].rows_held == 1
    raw = json.loads(str(rows_of(settings, "quarantine")[0]["raw"]))
    assert raw["line"].startswith(f"2026-10-04 10:00:00,{pseudonym('card-1234', settings.pseudonym_key)},A1,bought")


def test_unreadable_lines_of_two_tables_do_not_mix(settings: Settings, tmp_path: Path):
    shop = write_shop(tmp_path)
    for name in ("sales", "products"):
        with (tmp_path / f"{name}.csv").open("a") as file:
            file.write("short line\n")
    summaries = land(settings, shop)
    assert (summaries["events"].rows_held, summaries["items"].rows_held) == (1, 1)
    rows = {row["table_name"]: json.loads(str(row["raw"])) for row in rows_of(settings, "quarantine")}
    assert rows["events"]["file"] == "sales.csv"
    assert rows["items"] == {"file": "products.csv", "line_number": 4, "line": None}


def test_a_torn_json_line_is_held_without_the_user_id(settings: Settings, tmp_path: Path):
    shop = write_shop(tmp_path, mapping=MAPPING.replace("sales*.csv", "sales.jsonl"))
    lines = write_jsonl(tmp_path / "sales.jsonl", [dict(row) for row in SALES])
    with lines.open("a") as file:
        file.write('{"sold_at": "2026-10-04", "customer": "card-1234", "sku": "A\n')
        file.write('{"sold_at": "2026-10-04", "customer": "card-12\n')
        file.write("[1, 2]\n")
    assert land(settings, shop)["events"].rows_held == 3
    raws = [json.loads(str(row["raw"]))["line"] for row in rows_of(settings, "quarantine")]
    masked = pseudonym("card-1234", settings.pseudonym_key)
    assert {raw for raw in raws if raw} == {f'{{"sold_at": "2026-10-04", "customer": "{masked}", "sku": "A'}
    assert held(settings)["line_readable"].endswith("not a JSON object")


def test_a_private_column_stays_out_of_the_quarantine(settings: Settings, tmp_path: Path):
    mapping = MAPPING.replace("[events]", 'private = ["till"]\n[events]', 1)
    land(settings, write_shop(tmp_path, [*SALES, sale(qty="two")], mapping), NOW)
    (row,) = rows_of(settings, "quarantine")
    assert json.loads(str(row["raw"]))["till"] is None


def test_a_shop_id_that_holds_a_user_id_is_hashed(settings: Settings, tmp_path: Path):
    mapping = MAPPING.replace("[events.columns]", "[events.columns]\nevent_id = \"customer || '/' || sold_at || sku\"")
    land(settings, write_shop(tmp_path, mapping=mapping))
    ids = [str(row["event_id"]) for row in rows_of(settings, "events")]
    assert len(set(ids)) == 6
    assert all(event_id.startswith("e_") and "card" not in event_id for event_id in ids)


def test_gzip_is_told_by_content_not_by_hope(settings: Settings, tmp_path: Path):
    shop = write_shop(tmp_path, mapping=MAPPING.replace("sales*.csv", "sales.csv.gz"))
    (tmp_path / "sales.csv.gz").write_bytes(gzip.compress(b"sold_at,customer\n")[:-3])
    with pytest.raises(ExportRejected, match="whole gzip archive"):
        land(settings, shop)
