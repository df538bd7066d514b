"""What real exports do: encodings, archives, signs in numbers, clocks that change, lines that come twice."""

import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from flows.ingest import open_export
from flows.settings import Settings
from flows.sources.mapping import load_mapping
from flows.sources.mapping_keys import ExportRejected, MappingError
from flows.sources.staging import Export, stage_table
from tests.flows.staged_files import rows_in
from tests.flows.tiny_shop import MAPPING, SALES, held, land, rows_of, sale, write_csv, write_jsonl, write_shop


def _with(line: str) -> str:
    """The shop's mapping with one more line about its events."""
    return MAPPING.replace("[events]", f"[events]\n{line}")


def _as_csv(rows: list[dict[str, str]], delimiter: str = ",") -> str:
    return "".join(delimiter.join(line) + "\n" for line in [list(rows[0]), *(row.values() for row in rows)])


def _staged(shop: str, folder: Path) -> list[dict[str, object]]:
    """The shop's events as they are staged, before the judge; `_uncast` says what could not be read."""
    (folder / "staged").mkdir(parents=True)
    table = stage_table(Export(load_mapping(shop)), "events", folder / "staged", b"key")
    return rows_in(table)


@pytest.mark.parametrize(
    ("said", "codec"), [('encoding = "latin-1"', "latin-1"), ('encoding = "cp1252"', "cp1252"), ("", "utf-16")]
)
def test_an_export_in_another_encoding_is_read_in_it(settings: Settings, tmp_path: Path, said: str, codec: str):
    shop = write_shop(tmp_path, mapping=_with(said).replace("[events.columns]", '[events.columns]\ntext = "till"'))
    (tmp_path / "sales.csv").write_bytes(
        _as_csv([sale(till="Müller – Café" if codec != "latin-1" else "Müller")]).encode(codec)
    )
    land(settings, shop)
    assert "Müller" in str(rows_of(settings, "events")[0]["text"])


def test_a_line_in_another_encoding_is_held_and_says_what_to_set(settings: Settings, tmp_path: Path):
    shop = write_shop(tmp_path)
    (tmp_path / "sales.csv").write_bytes(_as_csv([*SALES, sale(till="Müller")]).encode("latin-1"))
    assert land(settings, shop)["events"].rows_held == 1
    assert 'Set encoding = "latin-1"' in held(settings)["line_readable"]


def test_an_encoding_that_the_file_is_not_in_is_told(settings: Settings, tmp_path: Path):
    shop = write_shop(tmp_path, mapping=_with('encoding = "cp1252"'))
    (tmp_path / "sales.csv").write_bytes(_as_csv([sale(till="\x81")]).encode("latin-1"))
    with pytest.raises(ExportRejected, match=r"sales\.csv: expected text in cp1252.*latin-1"):
        land(settings, shop)


def test_a_zip_is_read_like_a_folder(settings: Settings, tmp_path: Path):
    shop = write_shop(tmp_path, mapping=MAPPING.replace('"sales*.csv"', '"export.zip/*/sales*.csv"'))
    (tmp_path / "sales.csv").unlink()
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("2026/sales-1.csv", _as_csv(SALES[:3]))
        archive.writestr("2026/sales-2.csv", _as_csv(SALES[3:]) + "torn\n")
        archive.writestr("__MACOSX/2026/sales-1.csv", b"\x00")
    assert land(settings, shop)["events"].rows_written == 6
    assert "line 5 of sales-2.csv" in held(settings)["line_readable"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"PK\x03\x04 half a zip", "whole zip archive"),
        (None, r"expected a zip with one file, but it has 2: a\.csv, b\.csv.*files = \"export\.zip/a\.csv\""),
    ],
)
def test_a_zip_that_is_damaged_or_leaves_a_choice_is_told(
    settings: Settings, tmp_path: Path, content: bytes | None, told: str
):
    shop = write_shop(tmp_path, mapping=MAPPING.replace("sales*.csv", "export.zip"))
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("a.csv", _as_csv(SALES))
        archive.writestr("b.csv", _as_csv(SALES))
    if content is not None:
        (tmp_path / "export.zip").write_bytes(content)
    with pytest.raises(ExportRejected, match=told):
        land(settings, shop)
    assert rows_of(settings, "items") == []


def test_a_file_without_a_header_gets_its_names_from_the_mapping(settings: Settings, tmp_path: Path):
    said = 'names = ["sold_at", "customer", "sku", "action", "qty", "line_total", "till"]\ndelimiter = "|"\nskip = 1'
    shop = write_shop(tmp_path, mapping=_with(said))
    body = _as_csv(SALES, "|").partition("\n")[2]
    (tmp_path / "sales.csv").write_text("\ufeffExport of 1 October\n" + body, encoding="utf-8")
    assert land(settings, shop)["events"].rows_written == 6


def test_too_few_names_for_a_file_without_a_header_are_told(settings: Settings, tmp_path: Path):
    shop = write_shop(tmp_path, mapping=_with('names = ["sold_at", "customer"]'))
    with pytest.raises(ExportRejected, match=r"expected 2 columns.*its first line has 7.*`names` or `delimiter`"):
        land(settings, shop)


def test_a_column_without_a_name_is_called_by_its_place(settings: Settings, tmp_path: Path):
    shop = write_shop(tmp_path, mapping=MAPPING.replace("[events.columns]", '[events.columns]\ntext = "column1"'))
    write_csv(tmp_path / "sales.csv", [{"": str(number), **row} for number, row in enumerate(SALES)])
    land(settings, shop)
    assert {row["text"] for row in rows_of(settings, "events")} == set("012345")


@pytest.mark.parametrize(
    ("said", "text", "number"),
    [
        ('decimal = ","\nthousands = "."', "1.234,50", 1234.5),
        ('decimal = ","', "7,5 €", 7.5),
        ('thousands = ","', "$ 234,567.25", 234567.25),
        ('thousands = "\'"', "1'234.5", 1234.5),
        ('thousands = " "\ndecimal = ","', "1\u00a0234,5", 1234.5),
        ("", "£12.50", 12.5),
        ('thousands = ","', "1,5", None),
        ('decimal = ","', "1.234", None),
        ("", "1,234", None),
    ],
)
def test_numbers_are_read_by_the_signs_of_the_mapping_and_never_by_a_guess(
    tmp_path: Path, said: str, text: str, number: float | None
):
    shop = write_shop(tmp_path, mapping=_with(said).replace("line_total / nullif(qty, 0)", "line_total"))
    (tmp_path / "sales.csv").write_text(_as_csv([sale(line_total=text)], ";"))
    (row,) = _staged(shop, tmp_path)
    assert row["unit_price"] == number
    assert row["_uncast"] == (None if number is not None else f"line_total: expected a number, came {text}")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-29 01:59:00", datetime(2026, 3, 29, 0, 59, tzinfo=UTC)),
        ("2026-03-29 02:30:00", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),  # an hour that was skipped: 03:30
        ("2026-10-25 01:59:00", datetime(2026, 10, 24, 23, 59, tzinfo=UTC)),
        ("2026-10-25 02:30:00", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),  # an hour that came twice: the later one
        ("25.10.2026 04:00", datetime(2026, 10, 25, 3, 0, tzinfo=UTC)),
        ("1792897200", datetime(2026, 10, 25, 3, 0, tzinfo=UTC)),
    ],
)
def test_local_times_with_changing_clocks_and_mixed_formats_become_utc(tmp_path: Path, text: str, moment: datetime):
    said = 'timezone = "Europe/Vienna"\ntime_format = ["iso", "%d.%m.%Y %H:%M", "epoch_s"]'
    (row,) = _staged(write_shop(tmp_path, [sale(sold_at=text)], _with(said)), tmp_path)
    assert row["event_time"] == moment


@pytest.mark.parametrize(
    ("said", "written", "left_out", "held_rows"),
    [("", 6, 0, 7), ('duplicates = "once"', 6, 7, 0), ('duplicates = "count"', 13, 0, 0)],
)
def test_rows_that_come_twice_are_held_or_taken_once_or_counted_as_the_mapping_says(
    settings: Settings, tmp_path: Path, said: str, written: int, left_out: int, held_rows: int
):
    shop = write_shop(tmp_path, mapping=_with(said))
    write_csv(tmp_path / "sales (copy).csv", [*SALES, SALES[0]])
    mapping = Path(shop).read_text()
    if held_rows:  # a judge would refuse an export that is half duplicates; what is staged is seen here
        staged = stage_table(open_export(settings, shop, None, None, None), "events", tmp_path, b"key")
        assert (staged.rows, staged.left_out) == (written + held_rows, 0)
        return
    assert land(settings, shop)["events"].rows_written == written
    (tmp_path / "staged").mkdir()
    staged = stage_table(open_export(settings, shop, None, None, None), "events", tmp_path / "staged", b"key")
    assert (staged.rows, staged.left_out) == (written, left_out)
    again = land(settings, shop)["events"]
    assert again.windows_landed == 0, mapping


def test_rows_and_event_types_that_the_mapping_leaves_out_are_counted(settings: Settings, tmp_path: Path):
    mapping = _with("where = \"customer <> 'card-5'\"").replace('looked = "view"', 'looked = "leave_out"')
    shop = write_shop(tmp_path, mapping=mapping)
    staged = stage_table(open_export(settings, shop, None, None, None), "events", tmp_path, b"key")
    assert (staged.rows, staged.left_out) == (4, 2)


def test_a_catalogue_can_be_made_of_several_sections_of_events(settings: Settings, tmp_path: Path):
    mapping = MAPPING.partition("[items]")[0].replace("[events]", "[[events]]")
    mapping += '[[events]]\nfiles = "looks.csv"\nevent_type = "x"\n'.replace('event_type = "x"\n', "")
    mapping += 'columns = { event_time = "at", user_id = "who", item_id = "what", event_type = "\'view\'" }\n'
    mapping += '[items]\nfrom_events = true\ncolumns = { title = "label", price = "line_total / qty" }\n'
    shop = write_shop(tmp_path, mapping=mapping)
    write_csv(tmp_path / "looks.csv", [{"at": "2026-10-05", "who": "x", "what": "C3", "label": "Cheese"}])
    land(settings, shop)
    items = {row["item_id"]: (row["title"], row["price"]) for row in rows_of(settings, "items")}
    assert items == {"A1": ("Item A1", 2.5), "B2": ("Item B2", 2.5), "C3": ("Cheese", None)}


def test_orders_with_their_lines_inside_are_taken_apart(settings: Settings, tmp_path: Path):
    mapping = """
source = "nested"
channel = "web"
[inputs]
orders.files = "orders.jsonl"
[events]
from = "select orders.*, unnest(cast(lines as json[])) as line from orders"
[events.columns]
event_time = "at"
user_id = "json_extract_string(customer, '$.id')"
item_id = "json_extract_string(line, '$.sku')"
event_type = "'purchase'"
basket_id = "number"
quantity = "json_extract_string(line, '$.qty')"
[items]
from_events = true
"""
    lines = [{"sku": "A", "qty": 2}, {"sku": "B", "qty": 1.5}]
    write_jsonl(tmp_path / "orders.jsonl", [{"number": 7, "at": "2026-10-01", "customer": {"id": "c"}, "lines": lines}])
    (tmp_path / "shop.toml").write_text(mapping)
    land(settings, str(tmp_path / "shop.toml"))
    rows = {row["item_id"]: (row["quantity"], row["basket_id"]) for row in rows_of(settings, "events")}
    assert rows == {"A": (2.0, "7"), "B": (1.5, "7")}
    assert '"id":"c"' not in json.dumps([str(row) for row in rows_of(settings, "events")])


def test_the_sheets_of_a_workbook_are_read_one_under_another(settings: Settings, tmp_path: Path):
    shop = write_shop(tmp_path, mapping=MAPPING.replace("sales*.csv", "sales.xlsx"))
    sheets = pd.DataFrame([{**row, "sold_at": pd.Timestamp(row["sold_at"]), "qty": 2} for row in SALES])
    with pd.ExcelWriter(tmp_path / "sales.xlsx") as book:
        sheets[:3].to_excel(book, sheet_name="2026-1", index=False)
        sheets[3:].to_excel(book, sheet_name="2026-2", index=False)
    assert land(settings, shop)["events"].rows_in == len(SALES)
    found = {(row["event_time"], row["item_id"], row["quantity"]) for row in rows_of(settings, "events")}
    assert found == {(datetime.fromisoformat(f"{row['sold_at']}+00:00"), row["sku"], 2.0) for row in SALES}


def test_a_damaged_workbook_says_what_to_do(settings: Settings, tmp_path: Path):
    shop = write_shop(tmp_path, mapping=MAPPING.replace("sales*.csv", "sales.xlsx"))
    (tmp_path / "sales.xlsx").write_bytes(b"PK\x05\x06" + bytes(18))
    with pytest.raises(ExportRejected, match=r"sales\.xlsx: expected an Excel workbook .*CSV"):
        land(settings, shop)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('encoding = "latin-17"', "events.encoding: expected the name of a text encoding, like utf-8, latin-1"),
        ('decimal = "-"', "events.decimal: expected one of ., ,"),
        ('thousands = "."', "events.thousands: expected another sign than the decimal one"),
        ('delimiter = ""', "events.delimiter: expected one to four characters"),
        ('duplicates = "drop"', "events.duplicates: expected one of hold, once, count"),
        ('timezone = "Mars"', "events.timezone: expected a zone like UTC or Europe/Vienna"),
        ("skip = true", "events.skip: expected a whole number"),
        ('names = ["a", "a"]', "events.names: expected distinct names"),
    ],
)
def test_a_wrong_way_of_reading_is_told_by_its_key(tmp_path: Path, said: str, told: str):
    with pytest.raises(MappingError) as error:
        load_mapping(write_shop(tmp_path, mapping=_with(said)))
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('where = "till >"', "events.where: expected an SQL condition over the export's columns"),
        ('time_format = "YYYY-MM-DD"', "events.time_format: expected iso, epoch_s"),
        ('time_format = ["iso", "%Q"]', "events.time_format: expected iso, epoch_s"),
    ],
)
def test_a_wrong_condition_or_time_format_is_told_when_the_export_is_read(
    settings: Settings, tmp_path: Path, said: str, told: str
):
    with pytest.raises(MappingError) as error:
        land(settings, write_shop(tmp_path, mapping=_with(said)))
    assert told in str(error.value)
