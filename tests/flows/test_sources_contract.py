"""What the next export would break is told before it lands, each with the line of the mapping to write."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from feature_repo.schema import CONTRACT_VERSION
from flows import lake
from flows.commands.contract import command
from flows.contract_check import Finding, compare
from flows.contract_profile import profile_export, record_profile, recorded_profile, salt_of
from flows.ingest import open_export
from flows.settings import Settings
from tests.conftest import settings_in
from tests.flows.tiny_shop import MAPPING, NOW, PRODUCTS, Row, land, sale, write_csv, write_shop


def _sales(seed: int, count: int = 300) -> list[Row]:
    """Sales of one month between nine and five, most before noon; prices of a few euros."""
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        hour = chance.choice([9, 9, 9, 10, 10, 11, 11, 12, 14, 16])
        moment = datetime(2026, 10, 1) + timedelta(days=chance.randrange(28), hours=hour, minutes=chance.randrange(60))
        looked = chance.random() < 0.3
        quantity = chance.randrange(1, 4)
        rows.append(
            sale(
                sold_at=f"{moment:%Y-%m-%d %H:%M:%S}",
                customer=f"card-{chance.randrange(60)}",
                sku=chance.choice(["A1", "B2"]),
                action="looked" if looked else "bought",
                qty="" if looked else str(quantity),
                line_total="" if looked else f"{quantity * chance.uniform(1, 5):.2f}",
                till=str(chance.randrange(1, 6)),
            )
        )
    return rows


def _renamed(old: str, new: str) -> list[Row]:
    return [{new if name == old else name: value for name, value in row.items()} for row in _sales(2)]


def _with(**changes: object) -> list[Row]:
    """The next export with columns made anew: column = a function of the row."""
    return [row | {name: str(make(row)) for name, make in changes.items()} for row in _sales(2)]  # type: ignore[operator]


def _moved(hours: int) -> list[Row]:
    return _with(sold_at=lambda row: datetime.fromisoformat(row["sold_at"]) + timedelta(hours=hours))


def _epoch(unit: int) -> list[Row]:
    return _with(sold_at=lambda row: int(datetime.fromisoformat(row["sold_at"]).replace(tzinfo=UTC).timestamp() * unit))


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, str]:
    """A home in which an export has landed and is remembered, and its mapping."""
    folder = tmp_path_factory.mktemp("landed")
    settings = settings_in(folder / "home")
    shop = write_shop(folder / "shop", _sales(1))
    land(settings, shop)
    record_profile(settings, open_export(settings, shop, None, None, None), NOW)
    return settings, shop


def _findings(landed: tuple[Settings, str], folder: Path, rows: list[Row]) -> list[Finding]:
    settings, shop = landed
    write_csv(folder / "sales.csv", rows)
    write_csv(folder / "products.csv", PRODUCTS)
    export = open_export(settings, shop, str(folder), None, None)
    before = recorded_profile(settings, "corner_shop")
    assert before is not None
    return compare(export.mapping, before, profile_export(export, salt_of(settings), NOW))


def test_the_next_month_of_the_same_shop_breaks_nothing(landed: tuple[Settings, str], tmp_path: Path):
    assert _findings(landed, tmp_path, _sales(2)) == []


@pytest.mark.parametrize(
    ("rows", "place", "what", "line"),
    [
        (
            _renamed("customer", "client_no"),
            "events: customer",
            "seems to be called client_no now (100% of its values are there); it makes events.user_id",
            '[events.columns] user_id = "client_no"',
        ),
        (
            _renamed("line_total", "Sum EUR"),
            "events: line_total",
            "seems to be called Sum EUR now",
            '[events.columns] unit_price = \'"Sum EUR" / nullif(qty, 0)\'\n[events] numbers = ["qty", "Sum EUR"]',
        ),
        (
            [{name: value for name, value in row.items() if name != "sku"} for row in _sales(2)],
            "events: sku",
            "the column is gone, and no new one is like it; it makes events.item_id",
            '[events.columns] item_id = "null"',
        ),
        (
            _with(action=lambda row: "wishlist" if row["till"] == "1" else row["action"]),
            "events: action",
            "a new event type: wishlist; its rows would be held",
            '[events] event_types = { "bought" = "purchase", "looked" = "view", "wishlist" = "like" }',
        ),
        (
            _with(line_total=lambda row: row["line_total"] and round(float(row["line_total"]) * 100)),
            "events: line_total",
            "100 times as large. Another unit?",
            '[events.columns] unit_price = "(line_total / 100) / nullif(qty, 0)"',
        ),
        (
            _with(line_total=lambda row: '"' + row["line_total"].replace(".", ",") + '"'),
            "events: line_total",
            "expected number, came comma number: decimal commas",
            '[events] decimal = ","',
        ),
        (
            _epoch(1000),
            "events: sold_at",
            "expected times as iso, came epoch_ms",
            '[events] time_format = ["epoch_ms", "iso"]',
        ),
        (
            _with(sold_at=lambda row: f"{datetime.fromisoformat(row['sold_at']):%d.%m.%Y %H:%M}"),
            "events: sold_at",
            "expected times as iso, came %d.%m.%Y %H:%M",
            '[events] time_format = ["%d.%m.%Y %H:%M", "iso"]',
        ),
        (
            _moved(-2),
            "events: sold_at",
            "the hours of the day moved by -2: another time zone?",
            '[events] timezone = "…"',
        ),
        (
            _with(customer=lambda row: "" if row["till"] in "12" else row["customer"]),
            "events: customer",
            "of its values are missing, 0% were; it makes user_id",
            "[events] where = 'customer is not null'",
        ),
    ],
)
def test_what_changed_is_told_with_the_line_to_write(
    landed: tuple[Settings, str], tmp_path: Path, rows: list[Row], place: str, what: str, line: str
):
    (finding,) = _findings(landed, tmp_path, rows)
    assert (finding.breaks, finding.place) == (True, place)
    assert what in finding.what
    assert line in finding.line


def test_seconds_that_become_milliseconds_are_told(tmp_path: Path):
    settings = settings_in(tmp_path / "home")
    shop = write_shop(tmp_path, _epoch(1), MAPPING.replace("[events]", '[events]\ntime_format = "epoch_s"'))
    record_profile(settings, open_export(settings, shop, None, None, None), NOW)
    (finding,) = _findings((settings, shop), tmp_path / "next", _epoch(1000))
    assert finding.what == "expected times as epoch_s, came epoch_ms"
    assert finding.line == '[events] time_format = ["epoch_ms", "epoch_s"]'


def test_a_column_that_is_empty_now_is_told(landed: tuple[Settings, str], tmp_path: Path):
    (finding,) = _findings(landed, tmp_path, _with(line_total=lambda row: ""))
    assert finding.breaks
    assert finding.what == "it has no value any more; it makes events.unit_price"


def test_a_new_column_and_an_unused_one_that_goes_break_nothing(landed: tuple[Settings, str], tmp_path: Path):
    rows = [{name: value for name, value in row.items() if name != "till"} | {"discount": "0.5"} for row in _sales(2)]
    findings = {finding.place: finding for finding in _findings(landed, tmp_path, rows)}
    assert {place: finding.breaks for place, finding in findings.items()} == {
        "events: till": False,
        "events: discount": False,
    }
    assert findings["events: discount"].line.startswith('[events.columns] discount = "discount"')


def test_with_a_lake_on_s3_another_machine_compares_with_the_same_last_export(
    store_settings: Settings, tmp_path: Path
) -> None:
    here = replace(store_settings, lake_uri=f"s3://{store_settings.object_store.bucket}/lake")
    there = replace(here, home=tmp_path / "another machine")
    shop = write_shop(tmp_path, _sales(1))
    assert recorded_profile(there, "corner_shop") is None
    record_profile(here, open_export(here, shop, None, None, None), NOW)
    assert recorded_profile(there, "corner_shop") == recorded_profile(here, "corner_shop")
    assert recorded_profile(there, "corner_shop").recorded_at == NOW.isoformat()


def test_what_is_recorded_has_no_user_and_no_value_that_can_be_looked_up(landed: tuple[Settings, str]):
    settings, shop = landed
    text = (settings.home / "profiles" / "corner_shop.json").read_text()
    assert "card-" not in text
    other = replace(settings, pseudonym_key=b"another key")
    export = open_export(settings, shop, None, None, None)
    with_other_key = profile_export(export, salt_of(other), NOW).columns["events"]
    recorded = recorded_profile(settings, "corner_shop")
    assert recorded is not None
    assert not set(with_other_key[1].fingerprint) & set(recorded.columns["events"][1].fingerprint)


def test_every_row_of_the_lake_finds_its_contract_in_the_ledger_by_its_window(landed: tuple[Settings, str]):
    settings, _ = landed
    ledger = lake.read_ledger(settings, "corner_shop", "events")
    windows = set(lake.arrow_dataset(settings, "events").to_table(columns=["window"])["window"].to_pylist())
    assert windows
    assert windows <= set(ledger)
    assert {ledger[window]["contract_version"] for window in windows} == {CONTRACT_VERSION}


@pytest.mark.slow
def test_the_command_ends_with_an_error_only_when_something_would_break(
    landed: tuple[Settings, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    settings, shop = landed
    monkeypatch.setenv("AISLE_HOME", str(settings.home))
    same, changed = tmp_path / "same", tmp_path / "changed"
    for folder, rows in ((same, _sales(2)), (changed, _renamed("customer", "client_no"))):
        write_csv(folder / "sales.csv", rows)
        write_csv(folder / "products.csv", PRODUCTS)
    run = CliRunner().invoke
    fine = run(command, ["check", "--source", shop, "--path", str(same)])
    assert (fine.exit_code, "Nothing changed." in fine.output) == (0, True), fine.output
    broken = run(command, ["check", "--source", shop, "--path", str(changed)])
    assert broken.exit_code == 1
    assert 'write: [events.columns] user_id = "client_no"' in broken.output
    for till in "123":
        torn = (same / "sales.csv").read_text().replace(f",{till}\n", f",{till},x\n")
        (same / "sales.csv").write_text(torn)
    unreadable = run(command, ["check", "--source", shop, "--path", str(same)])
    assert unreadable.exit_code == 1
    assert "lines cannot be split into the columns" in unreadable.output
    against = run(command, ["check", "--source", shop, "--path", str(changed), "--against", str(changed)])
    assert against.exit_code == 1
    assert "events.columns.user_id: expected an SQL expression" in against.output
    monkeypatch.setenv("AISLE_HOME", str(tmp_path / "new home"))
    nothing = run(command, ["check", "--source", shop, "--path", str(same)])
    assert nothing.exit_code == 2
    assert "--against" in nothing.output
