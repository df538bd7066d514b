"""One shop in every format gives one lake; times, nulls and event types are read as the mapping says."""

import gzip
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from feature_repo.schema import pseudonym
from flows.settings import Settings
from flows.sources.mapping_keys import ExportRejected, MappingError
from tests.conftest import settings_in
from tests.flows.tiny_shop import (
    MAPPING,
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


def _typed(row: dict[str, str]) -> dict[str, object]:
    numbers = {name: float(row[name]) if row[name] else None for name in ("qty", "line_total")}
    return {**row, **numbers}


def _write_as(kind: str, folder: Path) -> None:
    typed = [_typed(row) for row in SALES]
    if kind == "csv.gz":
        write_csv(folder / "sales.csv.gz", SALES)
    elif kind == "semicolons":
        write_csv(folder / "sales.csv", SALES, ";")
    elif kind == "jsonl":
        write_jsonl(folder / "sales.jsonl", typed)
    elif kind == "jsonl.gz":
        (folder / "sales.jsonl.gz").write_bytes(gzip.compress(write_jsonl(folder / "x.json", typed).read_bytes()))
    elif kind == "parquet":
        write_parquet(folder / "sales.parquet", typed)
    elif kind == "two files":
        write_csv(folder / "sales-1.csv", SALES[:3])
        write_csv(folder / "sales-2.csv", [dict(reversed(row.items())) for row in SALES[3:]])


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake with the shop's plain CSV export."""
    folder = tmp_path_factory.mktemp("plain")
    settings = settings_in(folder / "home")
    land(settings, write_shop(folder))
    return settings


@pytest.mark.parametrize("kind", ["csv.gz", "semicolons", "jsonl", "jsonl.gz", "parquet", "two files"])
def test_a_shop_in_another_format_needs_another_mapping_and_no_code(plain: Settings, tmp_path: Path, kind: str):
    settings = replace(settings_in(tmp_path / "home"), pseudonym_key=plain.pseudonym_key)
    files = {"semicolons": "sales.csv", "two files": "sales-*.csv"}.get(kind, f"sales.{kind}")
    shop = write_shop(tmp_path / "other", mapping=MAPPING.replace("sales*.csv", files))
    (tmp_path / "other" / "sales.csv").unlink()
    _write_as(kind, tmp_path / "other")
    assert land(settings, shop)["events"].rows_written == 6
    assert rows_of(settings, "events") == rows_of(plain, "events")


def test_the_contract_columns_hold_what_the_mapping_says(settings: Settings, tmp_path: Path):
    land(settings, write_shop(tmp_path, SALES[:1]))
    (row,) = rows_of(settings, "events", "event_id", "known_at")
    assert row == {
        "event_time": datetime(2026, 10, 1, 9, 30, tzinfo=UTC),
        "user_id": pseudonym("card-17", settings.pseudonym_key),
        "item_id": "A1",
        "event_type": "purchase",
        "channel": "store",
        "session_id": None,
        "basket_id": None,
        "quantity": 2.0,
        "unit_price": 2.5,
        "discount": None,
        "currency": "EUR",
        "text": None,
        "source": "corner_shop",
    }


@pytest.mark.parametrize(
    ("said", "text", "moment"),
    [
        ('timezone = "America/New_York"', "2026-07-01 09:30:00", datetime(2026, 7, 1, 13, 30, tzinfo=UTC)),
        ('timezone = "America/New_York"', "2026-07-01T09:30:00+02:00", datetime(2026, 7, 1, 7, 30, tzinfo=UTC)),
        ('time_format = "%d.%m.%Y %H:%M"', "01.07.2026 09:30", datetime(2026, 7, 1, 9, 30, tzinfo=UTC)),
        ('time_format = "epoch_s"', "1782898200", datetime(2026, 7, 1, 9, 30, tzinfo=UTC)),
        ('time_format = "epoch_ms"', "1782898200123", datetime(2026, 7, 1, 9, 30, 0, 123000, tzinfo=UTC)),
    ],
)
def test_times_are_read_in_the_format_and_zone_of_the_mapping(
    settings: Settings, tmp_path: Path, said: str, text: str, moment: datetime
):
    land(settings, write_shop(tmp_path, [sale(sold_at=text)], MAPPING.replace("[events]", f"[events]\n{said}")))
    assert [row["event_time"] for row in rows_of(settings, "events")] == [moment]


def test_words_that_mean_null_are_null(settings: Settings, tmp_path: Path):
    mapping = MAPPING.replace("[events]", '[events]\nnulls = ["", "n/a"]')
    land(settings, write_shop(tmp_path, [sale(qty="n/a", line_total="n/a")], mapping))
    assert [(row["quantity"], row["unit_price"]) for row in rows_of(settings, "events")] == [(None, None)]


def test_a_catalogue_can_be_made_of_the_events(settings: Settings, tmp_path: Path):
    mapping = MAPPING.partition("[items]")[0] + (
        '[items]\nfrom_events = true\n[items.columns]\ntitle = "\'Article \' || sku"\nprice = "line_total / qty"\n'
    )
    rows = [*SALES, sale(sold_at="2026-10-09 10:00:00", line_total="7.00")]
    land(settings, write_shop(tmp_path, rows, mapping))
    items = {row["item_id"]: (row["title"], row["price"], row["updated_at"]) for row in rows_of(settings, "items")}
    assert items == {
        "A1": ("Article A1", 3.5, datetime(2026, 10, 9, 10, 0, tzinfo=UTC)),
        "B2": ("Article B2", 2.5, datetime(2026, 10, 3, 8, 0, tzinfo=UTC)),
    }


def test_traits_of_users_are_kept_as_json_and_their_ids_as_pseudonyms(settings: Settings, tmp_path: Path):
    write_csv(tmp_path / "cards.csv", [{"customer": "card-17", "age": "30-39", "town": ""}])
    mapping = MAPPING + '\n[users]\nfiles = "cards.csv"\ntraits = ["age", "town"]\ncolumns.user_id = "customer"\n'
    land(settings, write_shop(tmp_path, mapping=mapping))
    (row,) = rows_of(settings, "users")
    assert (row["user_id"], row["traits"]) == (pseudonym("card-17", settings.pseudonym_key), '{"age":"30-39"}')


def test_live_events_of_serving_land_with_their_own_ids_and_half_a_line_is_held(settings: Settings):
    event = {
        "event_id": "e_1",
        "event_time": "2026-10-01T10:00:00.123456+00:00",
        "known_at": "2026-10-01T10:00:01+00:00",
        "user_id": "u_abc",
        "item_id": "A1",
        "event_type": "view",
        "channel": "web",
        "session_id": None,
        "source": "live",
    }
    lines = write_jsonl(settings.spool_path / "events-2026-10-01-1.sealed.jsonl", [event, {**event, "event_id": "e_2"}])
    with lines.open("a") as file:
        file.write('{"event_id": "e_3", "user_id": "u_d')
    summary = land(settings, "live")["events"]
    assert (summary.rows_in, summary.rows_written, summary.rows_held) == (3, 2, 1)
    rows = rows_of(settings, "events")
    assert [row["event_id"] for row in rows] == ["e_1", "e_2"]
    assert rows[0]["user_id"] == "u_abc"
    assert rows[0]["known_at"] == datetime(2026, 10, 1, 10, 0, 1, tzinfo=UTC)
    assert "line 3 of events-2026-10-01-1.sealed.jsonl" in held(settings)["line_readable"]


def test_an_empty_spool_is_no_error(settings: Settings):
    assert land(settings, "live")["events"].rows_in == 0


def test_the_number_of_a_torn_line_counts_from_its_own_file(settings: Settings):
    event = {"event_id": "e_1", "event_time": "2026-10-01T10:00:00Z", "user_id": "u_1", "event_type": "search"}
    write_jsonl(settings.spool_path / "events-1.sealed.jsonl", [event])
    (settings.spool_path / "events-2.sealed.jsonl").write_text('\n{"event_id"\n')
    assert land(settings, "live")["events"].rows_held == 1
    assert "line 2 of events-2.sealed.jsonl" in held(settings)["line_readable"]


def test_a_single_file_for_a_shop_of_several_is_refused(settings: Settings, tmp_path: Path):
    shop = write_shop(tmp_path)
    with pytest.raises(
        MappingError, match=r"--path: expected a folder or a zip, because the mapping reads 2 sets of files"
    ):
        land(settings, shop, path=str(tmp_path / "sales.csv"))


def test_a_column_that_one_of_several_files_lacks_is_no_silent_null(settings: Settings, tmp_path: Path):
    shop = write_shop(tmp_path)
    short = [{name: value for name, value in row.items() if name != "action"} for row in SALES]
    write_csv(tmp_path / "sales-2.csv", short)
    with pytest.raises(ExportRejected, match=r"sales-2\.csv lacks the column 'action'"):
        land(settings, shop)
    assert rows_of(settings, "events") == []


def test_the_path_on_the_command_line_takes_the_place_of_the_files(settings: Settings, tmp_path: Path):
    shop = write_shop(tmp_path / "shop")
    write_shop(tmp_path / "elsewhere", SALES[:2])
    assert land(settings, shop, path=str(tmp_path / "elsewhere"))["events"].rows_in == 2
