"""A shop's own user id goes no further than the door, whatever a `from` calls its column."""

import json
from pathlib import Path

import pytest

from flows.settings import Settings
from tests.flows.test_landing_corners import JOINED, held_raw
from tests.flows.test_replay import replay
from tests.flows.tiny_shop import LATER, SALES, land, rows_of, sale, write_csv, write_shop

RENAMED = JOINED.replace("QUANTITY", "qty").replace('user_id = "customer"', 'user_id = "uid"')
SESSION = "session_id = \"customer || ' on ' || till\"\n"
BAD = sale(customer="card-secret", action="stolen", sold_at="2026-10-02 07:00:00")


@pytest.mark.parametrize(
    "relation",
    ["select *, customer as uid from sales", "with s as (select *, lower(customer) as uid from sales) select * from s"],
)
def test_a_column_behind_an_alias_of_a_from_is_kept_as_a_pseudonym_alone(
    settings: Settings, tmp_path: Path, relation: str
):
    shop = write_shop(tmp_path, [*SALES, BAD], RENAMED.replace("RELATION", relation) + SESSION)
    land(settings, shop)
    assert "card-" not in json.dumps(rows_of(settings, "events"), default=str)
    assert "secret" not in held_raw(settings)
    (held,) = rows_of(settings, "quarantine")
    raw = json.loads(str(held["raw"]))
    assert raw["uid"] == raw["customer"]


def test_a_row_whose_user_has_another_name_in_a_from_is_replayed_as_a_clean_export_would_land(
    settings: Settings, tmp_path: Path
):
    mapping = RENAMED.replace("RELATION", "select *, customer as uid from sales") + SESSION
    land(settings, write_shop(tmp_path, [*SALES, BAD], mapping))
    shop = write_shop(tmp_path, [*SALES, BAD], mapping.replace("looked =", 'stolen = "purchase", looked ='))
    replay(settings, shop)
    replayed = rows_of(settings, "events", "known_at")
    assert len(replayed) == len(SALES) + 1
    land(settings, shop, LATER)
    assert rows_of(settings, "events", "known_at") == replayed


def test_an_id_that_several_inputs_have_by_one_name_is_not_taken_for_the_users(settings: Settings, tmp_path: Path):
    relation = "select sales.*, people.id as uid from sales join people on sales.customer = people.mail"
    mapping = RENAMED.replace("RELATION", relation).replace("[events]", 'people = { files = "people.csv" }\n[events]')
    orders = [row | {"id": f"order-{number}"} for number, row in enumerate([*SALES, BAD])]
    shop = write_shop(tmp_path, orders, mapping + "basket_id = \"'b-' || id\"\n")
    names = sorted({row["customer"] for row in orders})
    write_csv(tmp_path / "people.csv", [{"id": str(number), "mail": name} for number, name in enumerate(names)])
    land(settings, shop)
    assert {row["basket_id"] for row in rows_of(settings, "events")} == {f"b-order-{n}" for n in range(len(SALES))}


def test_blanks_around_the_ids_of_a_user_and_an_item_are_no_part_of_them(settings: Settings, tmp_path: Path):
    land(settings, write_shop(tmp_path, SALES))
    clean = rows_of(settings, "events")
    land(settings, write_shop(tmp_path, [row | {"customer": f" {row['customer']}\t"} for row in SALES]), LATER)
    land(settings, write_shop(tmp_path, [row | {"sku": f"\u00a0{row['sku']} "} for row in SALES]), LATER)
    assert rows_of(settings, "events") == clean


def test_blanks_alone_are_no_user_and_no_item(settings: Settings, tmp_path: Path):
    land(settings, write_shop(tmp_path, [*SALES, sale(customer="\t "), sale(sku=" \t", customer="card-4")]))
    assert len(rows_of(settings, "events")) == len(SALES)
    assert len(rows_of(settings, "quarantine")) == 2
