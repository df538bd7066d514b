"""The profile of the last export has no word of a user, however the mapping comes to the user's column."""

import json
from pathlib import Path

import pytest

from flows.contract_check import compare
from flows.contract_profile import ExportProfile, profile_export
from flows.ingest import open_export
from flows.settings import Settings
from tests.flows.tiny_shop import MAPPING, NOW, SALES, Row, write_csv, write_shop

JOINED = """
source = "joined"
currency = "EUR"
channel = "web"
[inputs]
orders.files = "orders.csv"
people.files = "people.csv"
[events]
from = "FROM"
columns = { event_time = "sold_at", user_id = "buyer", item_id = "sku", event_type = "'purchase'" }
"""
JOIN = "from orders o join people p using (pid)"


def profile(settings: Settings, shop: str) -> ExportProfile:
    return profile_export(open_export(settings, shop, None, None, None), "salt", NOW)


def text_of(found: ExportProfile) -> str:
    return json.dumps([column.as_record() for columns in found.columns.values() for column in columns])


def test_a_user_whose_column_the_export_writes_otherwise_is_not_kept(settings: Settings, tmp_path: Path):
    rows = [{name.title(): value for name, value in row.items()} for row in SALES]
    mapping = MAPPING.partition("[items]")[0].replace('"qty", "line_total"]', '"Qty", "Line_Total"]')
    kept = text_of(profile(settings, write_shop(tmp_path, rows, mapping)))
    assert "A1" in kept
    assert "card-" not in kept


@pytest.mark.parametrize(
    ("relation", "skus"),
    [
        (f"select o.*, p.email as buyer {JOIN}", True),
        (f"with q as (select pid, lower(email) as mail from people) select o.*, q.mail as Buyer {JOIN}", True),
        ("select * from orders join (select * rename (email as buyer) from people) using (pid)", True),
        ("select * from orders join (select pid, email from people) t(pid, buyer) using (pid)", False),
        (f"select sold_at, sku, 'nobody' as buyer from orders union all select sold_at, sku, email {JOIN}", False),
    ],
)
def test_a_user_behind_an_alias_of_a_from_is_not_kept(settings: Settings, tmp_path: Path, relation: str, skus: bool):
    relation = relation.replace(JOIN, JOIN.replace("people p", "q")) if "with q" in relation else relation
    orders: list[Row] = [{"pid": str(n % 3), "sold_at": f"2026-10-01 09:{n:02}:00", "sku": "A1"} for n in range(12)]
    write_csv(tmp_path / "orders.csv", orders)
    write_csv(tmp_path / "people.csv", [{"pid": str(n), "email": f"anna{n}@mail.at"} for n in range(3)])
    (tmp_path / "shop.toml").write_text(JOINED.replace("FROM", relation))
    kept = text_of(profile(settings, str(tmp_path / "shop.toml")))
    assert "mail.at" not in kept
    assert ("A1" in kept) is skus


def test_a_unit_that_changed_is_told_of_a_column_in_other_letters(settings: Settings, tmp_path: Path):
    mapping = MAPPING.replace('"qty", "line_total"]', '"qty", "Line_Total"]')
    sales = [{("Line_Total" if name == "line_total" else name): value for name, value in row.items()} for row in SALES]
    sales = [{**row, "Line_Total": f"{1 + n / 10:.2f}"} for row in sales for n in range(40)]
    cents = [{**row, "Line_Total": f"{float(row['Line_Total']) * 100:.0f}"} for row in sales]
    before = profile(settings, write_shop(tmp_path / "before", sales, mapping))
    after = profile(settings, write_shop(tmp_path / "after", cents, mapping))
    findings = compare(
        open_export(settings, str(tmp_path / "after/shop.toml"), None, None, None).mapping, before, after
    )
    assert [finding.breaks for finding in findings if "Line_Total" in finding.place] == [True]
