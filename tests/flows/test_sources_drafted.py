"""A mapping is drafted from the files alone, says why, and works without an edit; a rehearsal shows what it does."""

import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.commands.source import command
from flows.ingest import open_export
from flows.lake import table_version
from flows.rehearsal import RehearsedTable, next_steps, rehearse
from flows.settings import Settings
from flows.sources.drafting import draft_source
from flows.sources.mapping_keys import ExportRejected
from tests.flows.foreign_shops import NAMES, write_foreign_shop
from tests.flows.tiny_shop import MAPPING, NOW, SALES, sale, write_csv, write_shop

#: Shop → rows of events that its draft makes, the words that its user ids are made of, and an event's type and time.
DRAFTED = {
    "amazon": (2, "user_id", "review", datetime(2020, 5, 5, 14, 8, 48, tzinfo=UTC)),
    "diginetica": (
        4,
        'coalesce("userId", \'guest \' || "sessionId")',
        "view",
        datetime(2016, 5, 9, 0, 8, 46, 309000, UTC),
    ),
    "dunnhumby": (4, "household_key", "purchase", datetime(2000, 1, 2, 16, 31, tzinfo=UTC)),
    "hm": (4, "customer_id", "purchase", datetime(2018, 9, 20, tzinfo=UTC)),
    "instacart": (5, "user_id", "purchase", datetime(2000, 1, 1, 8, tzinfo=UTC)),
    "movielens": (3, "column1", "review", datetime(2000, 12, 31, 22, 12, 40, tzinfo=UTC)),
    "olist": (3, "customer_unique_id", "purchase", datetime(2017, 10, 2, 10, 56, 33, tzinfo=UTC)),
    "online_retail": (
        7,
        'coalesce(whole("Customer ID"), \'guest \' || "Invoice")',
        "return",
        datetime(2010, 12, 1, 9, 41, tzinfo=UTC),
    ),
    "retailrocket": (3, "visitorid", "add_to_cart", datetime(2015, 6, 2, 5, 50, 14, 164000, UTC)),
    "tafeng": (4, 'whole("CUSTOMER_ID")', "purchase", datetime(2000, 11, 2, tzinfo=UTC)),
    "taobao": (4, "column1", "purchase", datetime(2017, 11, 25, 1, 23, 19, tzinfo=UTC)),
    "yoochoose": (5, "column1", "view", datetime(2014, 4, 7, 10, 51, 9, 277000, UTC)),
    "otto": (4, "session", "add_to_cart", datetime(2022, 7, 31, 22, 1, 44, 511000, UTC)),
    "shopify": (3, "Email", "return", datetime(2022, 7, 6, 2, 59, tzinfo=UTC)),
    "warenwirtschaft": (
        3,
        """coalesce("Kundennr.", 'guest ' || "Beleg-Nr.")""",
        "return",
        datetime(2022, 7, 31, 18, 40, tzinfo=UTC),
    ),
    "analytics": (3, "user_pseudo_id", "view", datetime(2020, 11, 1, 3, 59, 30, 580301, UTC)),
    "steam": (2, "user_id", "review", datetime(2017, 12, 18, tzinfo=UTC)),
    "thelook": (4, "user_id", "return", datetime(2022, 2, 5, 10, 11, 12, tzinfo=UTC)),
    "baskets": (
        4,
        'coalesce(whole("Member Número"), \'guest \' || "Receipt No")',
        "purchase",
        datetime(2023, 2, 14, 13, 5, 30, tzinfo=UTC),
    ),
}


def _try(settings: Settings, mapping: Path, folder: Path, shown: int = 10) -> dict[str, RehearsedTable]:
    folder.mkdir()
    export = open_export(settings, str(mapping), None, None, None, 1000)
    return {table.table: table for table in rehearse(settings, export, folder, NOW, shown)}


@pytest.mark.parametrize("name", NAMES)
def test_a_drafted_mapping_lands_every_row_of_the_sample_without_an_edit(settings: Settings, tmp_path: Path, name: str):
    shop = tmp_path / "shop"
    write_foreign_shop(shop, name).unlink()
    draft = draft_source([str(shop)], name, shop)
    (shop / "drafted.toml").write_text(draft.text)
    tables = _try(settings, shop / "drafted.toml", tmp_path / "scratch")
    rows, user, event_type, moment = DRAFTED[name]
    assert {table: each.rows_held for table, each in tables.items()} == dict.fromkeys(tables, 0)
    assert tables["events"].rows == rows
    afters = [pair.after for pair in tables["events"].pairs]
    assert (event_type, moment) in {(after["event_type"], after["event_time"]) for after in afters}
    content = tomllib.loads(draft.text)
    sections = content["events"] if isinstance(content["events"], list) else [content["events"]]
    assert sections[0]["columns"]["user_id"] == user
    assert all(table.verdict and table.verdict.passed for table in tables.values())


def test_every_guess_says_how_sure_it_is_and_why_and_what_else_it_could_be(tmp_path: Path):
    write_foreign_shop(tmp_path, "olist").unlink()
    lines = draft_source([str(tmp_path)], "olist", tmp_path).text.splitlines()
    columns = [
        place for place, line in enumerate(lines) if line.startswith(("event_time", "user_id", "item_id", "price"))
    ]
    for place in columns:
        assert lines[place - 1].startswith(("# sure: ", "# likely: ", "# unsure: "))
    assert any("could also be customer_id" in line for line in lines)
    assert "# Not used: olist_order_reviews_dataset.csv: its rows name neither users nor items." in lines


def test_what_a_draft_cannot_know_it_says(tmp_path: Path):
    write_csv(
        tmp_path / "log.csv",
        [{"user": "a", "product": "b", "action": "shrug"}, {"user": "a", "product": "c", "action": "buy"}],
    )
    text = draft_source([str(tmp_path / "log.csv")], "log", tmp_path).text
    assert "# unsure: no column of times was found; models are judged on later days, so each row gets one of" in text
    assert 'event_types = { "buy" = "purchase", "shrug" = "leave_out" }' in text
    assert "unsure: shrug may be something in Aisle's words" in text


def test_a_rehearsal_says_when_the_past_is_too_short_to_train_on(settings: Settings, tmp_path: Path):
    one_day = [sale(sold_at=f"2026-10-02 {hour:02}:00:00", customer=f"card-{hour}") for hour in range(9, 15)]
    short = _try(settings, Path(write_shop(tmp_path / "short", one_day)), tmp_path / "a")
    assert short["events"].span == (datetime(2026, 10, 2, 9, tzinfo=UTC), datetime(2026, 10, 2, 14, tzinfo=UTC))
    (said,) = [step for step in next_steps(tuple(short.values()), "shop.toml") if step.startswith("event_time")]
    assert "lie within 5:00:00" in said
    weeks = [sale(sold_at=f"2026-{month:02}-02 09:00:00") for month in range(1, 10)]
    long = _try(settings, Path(write_shop(tmp_path / "long", weeks)), tmp_path / "b")
    assert not [step for step in next_steps(tuple(long.values()), "shop.toml") if step.startswith("event_time")]


def test_files_that_tell_no_events_are_told_with_their_columns(tmp_path: Path):
    write_csv(tmp_path / "weather.csv", [{"town": "Graz", "degrees": "21"}])
    with pytest.raises(
        ExportRejected, match=r"No file seems to tell what users did.*weather\.csv: town \(text\), degrees"
    ):
        draft_source([str(tmp_path / "weather.csv")], "weather", tmp_path)
    with pytest.raises(ExportRejected, match="No file matches"):
        draft_source([str(tmp_path / "nothing.csv")], "x", tmp_path)


def test_a_rehearsal_shows_rows_of_every_kind_with_their_reasons_and_touches_no_lake(
    settings: Settings, tmp_path: Path
):
    mapping = MAPPING.replace("[events]", "[events]\nwhere = \"till <> '9'\"")
    rows = [*SALES * 3, sale(qty="two", till="7"), sale(till="9")]
    rows = [row | {"sold_at": f"2026-10-{number + 1:02} 09:00:00"} for number, row in enumerate(rows)]
    tables = _try(settings, Path(write_shop(tmp_path / "shop", rows, mapping)), tmp_path / "scratch", shown=3)
    events = tables["events"]
    assert (events.rows, events.left_out, events.rows_held) == (19, 1, 1)
    assert {(pair.after["event_type"], bool(pair.held)) for pair in events.pairs} == {
        ("view", False),
        ("purchase", False),
        ("purchase", True),
    }
    (held,) = [pair for pair in events.pairs if pair.held]
    assert held.before["qty"] == "two"
    assert "qty: expected a number, came two" in str(held.held)
    assert next_steps(tuple(tables.values()), "shop.toml")[0].startswith("typed: say how the column is written")
    assert {name: table_version(settings, name) for name in ("events", "items", "quarantine")} == dict.fromkeys(
        ("events", "items", "quarantine"), -1
    )


def test_a_rehearsal_reads_no_more_rows_than_it_is_told(settings: Settings, tmp_path: Path):
    rows = [sale(sold_at=f"2026-10-01 09:{minute:02}:00") for minute in range(50)]
    export = open_export(settings, write_shop(tmp_path / "shop", rows), None, None, None, 20)
    (tmp_path / "scratch").mkdir()
    tables = {table.table: table for table in rehearse(settings, export, tmp_path / "scratch", NOW)}
    assert (tables["events"].rows, tables["items"].rows) == (20, 2)


def test_a_rehearsal_finds_the_orders_of_its_lines_wherever_they_stand(settings: Settings, tmp_path: Path):
    orders = "".join(f"{number},u{number},2026-10-01 09:{number:02}:00\n" for number in range(50))
    (tmp_path / "orders.csv").write_text(f"order_id,customer,ordered_at\n{orders}", encoding="utf-8")
    lines = "".join(f"{number},i{number % 3}\n" for number in reversed(range(50)))
    (tmp_path / "lines.csv").write_text(f"order_id,sku\n{lines}", encoding="utf-8")
    (tmp_path / "shop.toml").write_text(
        f"""
        source = "shop"
        channel = "web"
        [inputs]
        orders = {{ files = "{tmp_path}/orders.csv" }}
        lines = {{ files = "{tmp_path}/lines.csv" }}
        [events]
        from = 'lines left join orders using ("order_id")'
        [events.columns]
        event_time = "ordered_at"
        user_id = "customer"
        item_id = "sku"
        event_type = "'purchase'"
        basket_id = "order_id"
        [items]
        from_events = true
        """,
        encoding="utf-8",
    )
    export = open_export(settings, str(tmp_path / "shop.toml"), None, None, None, 4)
    (tmp_path / "scratch").mkdir()
    (events,) = (each for each in rehearse(settings, export, tmp_path / "scratch", NOW) if each.table == "events")
    assert (events.rows, events.rows_held) == (4, 0)
    assert {pair.after["basket_id"] for pair in events.pairs} == {"49", "48", "47", "46"}


def test_the_commands_draft_and_try_a_shop(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AISLE_HOME", str(settings.home))
    write_foreign_shop(tmp_path / "shop", "online_retail")
    monkeypatch.chdir(tmp_path / "shop")
    runner = CliRunner(env={"COLUMNS": "120"})
    drafted = runner.invoke(command, ["new", "online_retail_II.csv", "--name", "mine"])
    assert drafted.exit_code == 0, drafted.output
    assert "aisle source check mine.toml" in drafted.output
    again = runner.invoke(command, ["new", "online_retail_II.csv", "--name", "mine"])
    assert again.exit_code == 1
    assert "mine.toml is there already" in again.output
    tried = runner.invoke(command, ["check", "mine.toml"])
    assert tried.exit_code == 0, tried.output
    assert "Invoice=C536379" in tried.output
    assert "event_type=return" in tried.output
    assert "Land it: aisle ingest --source mine.toml" in tried.output
    assert max(len(line) for line in tried.output.splitlines()) <= 120
    (tmp_path / "shop" / "mine.toml").write_text(Path("mine.toml").read_text().replace("%m/%d/%Y %H:%M", "%d.%m.%Y"))
    refused = runner.invoke(command, ["check", "mine.toml"])
    assert "event_time: expected a time" in refused.output
    assert "typed: say how the column is written" in refused.output
    assert runner.invoke(command, ["complete_journey"]).output.startswith("complete_journey: ")


def test_a_file_that_lacks_a_user_is_drafted_with_what_is_missing(tmp_path: Path):
    write_csv(tmp_path / "log.csv", [{"sku": "a", "stamp": "2026-01-02 10:00:00"}, {"sku": "b", "stamp": "2026-01-03"}])
    text = draft_source([str(tmp_path / "log.csv")], "log", tmp_path).text
    assert "# MISSING: no column seems to name users: name it here" in text
    assert 'item_id = "sku"' in text


def test_event_types_that_are_numbers_are_asked_for(tmp_path: Path):
    rows = [
        {"user_id": str(number), "item_id": "7", "behavior_type": kind, "date": "2026-01-02"}
        for number, kind in enumerate("0002")
    ]
    write_csv(tmp_path / "log.csv", rows)
    text = draft_source([str(tmp_path / "log.csv")], "log", tmp_path).text
    assert "# MISSING: numbers say what was done: 0 (75%), 2 (25%); the commonest is taken for a view." in text
    assert 'event_types = { "0" = "view", "2" = "leave_out" }' in text
    tomllib.loads(text)


def test_a_checkout_without_a_user_is_a_user_of_its_own(tmp_path: Path):
    write_csv(
        tmp_path / "bakery.csv", [{"Date": "2016-10-30", "Time": "09:58:11", "Transaction": "1", "Item": "Bread"}]
    )
    events = tomllib.loads(draft_source([str(tmp_path / "bakery.csv")], "bakery", tmp_path).text)["events"]
    assert events["columns"]["user_id"] == events["columns"]["basket_id"] == "Transaction"
    assert events["columns"]["event_time"] == '"Date" || \' \' || "Time"'


def test_books_with_markup_and_escaped_quotes_are_drafted_whole(settings: Settings, tmp_path: Path):
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "BX-Book-Ratings.csv").write_text('"User-ID";"ISBN";"Book-Rating"\n"7";"0X";"5"\n"8";"1X";"0"\n')
    (shop / "BX-Books.csv").write_text(
        '"ISBN";"Book-Title";"Publisher"\n"0X";"Salt &amp; <i>Pepper</i>";"P"\n"1X";"The \\"Best\\" Tea";"P"\n'
    )
    text = draft_source([str(shop)], "books", shop).text
    assert 'after(\'2026-01-01\', days := hash("User-ID", "ISBN") % 60)' in text
    (shop / "books.toml").write_text(text)
    tables = _try(settings, shop / "books.toml", tmp_path / "scratch")
    assert (tables["events"].rows, tables["events"].rows_held, tables["items"].rows_held) == (2, 0, 0)
    assert {pair.after["title"] for pair in tables["items"].pairs} == {"Salt & Pepper", 'The "Best" Tea'}


def test_numbered_columns_are_told_as_the_lines_of_an_order(tmp_path: Path):
    row = {
        "order_id": "1",
        "customer_id": "2",
        "order_date": "2026-01-02",
        "shipping_total": "4.90",
        "line_1": "name:A",
    }
    write_csv(tmp_path / "orders.csv", [row | {"line_2": "name:B"}])
    text = draft_source([str(tmp_path / "orders.csv")], "orders", tmp_path).text
    assert 'unnest(["line_1", "line_2"]) as line' in text
    assert "shipping_total" not in str(tomllib.loads(text)["events"]["columns"])


def test_a_draft_keeps_columns_that_may_name_a_person_out_of_the_quarantine(settings: Settings, tmp_path: Path):
    rows = [
        {"customer_id": f"c{n % 4}", "E-Mail": f"ann{n}@x.org", "Shipping Name": "Ann", "product_name": f"Cup {n % 5}",
         "product_id": f"p{n % 5}", "ordered_at": f"2026-10-{n + 1:02} 10:00:00", "price": "oops" if n == 3 else "2.50"}
        for n in range(20)
    ]  # fmt: skip
    write_csv(tmp_path / "orders.csv", rows)
    text = draft_source([str(tmp_path / "orders.csv")], "orders", tmp_path).text
    assert 'private = ["E-Mail", "Shipping Name"]' in text
    mapping = tmp_path / "orders.toml"
    mapping.write_text(text)
    held = [pair for pair in _try(settings, mapping, tmp_path / "a")["events"].pairs if pair.held]
    assert held
    assert not [pair for pair in held if "ann" in str(pair.before).lower()]
