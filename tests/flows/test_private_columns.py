"""What a mapping calls private, and whom a row is of, stands in no reason, no error, no torn line and no trait."""

import json
import traceback
from pathlib import Path

import pytest

from flows.ingest import open_export
from flows.rehearsal import next_steps, rehearse
from flows.settings import Settings
from flows.sources.mapping_keys import MappingError
from tests.flows.test_landing_corners import JOINED, held_raw
from tests.flows.tiny_shop import (
    MAPPING,
    NOW,
    SALES,
    Row,
    held,
    land,
    rows_of,
    sale,
    write_csv,
    write_jsonl,
    write_shop,
)

OF_INPUTS = JOINED.replace("RELATION", "select * exclude (till) from sales").replace("QUANTITY", "qty")
OF_JSON = MAPPING.replace("sales*.csv", "sales.jsonl")
OF_EVENTS = MAPPING.partition("[items]")[0] + "[items]\nfrom_events = true\n"


@pytest.mark.parametrize("mapping", [MAPPING, OF_INPUTS, OF_EVENTS])
def test_a_private_column_that_no_row_has_is_told_with_the_one_that_is_like_it(
    settings: Settings, tmp_path: Path, mapping: str
):
    shop = write_shop(tmp_path, mapping='private = ["Till", "tiil", "phone"]\n' + mapping)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    tables = rehearse(settings, open_export(settings, shop, None, None, None, 100), scratch, NOW)
    told = [step for step in next_steps(tables, "corner_shop") if step.startswith("private")]
    assert told == [
        "private: no row of this sample has the column 'tiil', so nothing is left out for it; is 'till' meant?",
        "private: no row of this sample has the column 'phone', so nothing is left out for it.",
    ]


@pytest.mark.parametrize(
    "mapping",
    [
        MAPPING.replace('"line_total"]', '"line_total", "till"]'),
        MAPPING.replace('quantity = "qty"', 'quantity = "Till"'),
        MAPPING.replace('"line_total"]', '"line_total", "customer"]'),
    ],
)
def test_a_value_that_is_no_number_is_not_quoted_where_it_is_private_or_a_users(
    settings: Settings, tmp_path: Path, mapping: str
):
    users = [row | {"customer": row["customer"].removeprefix("card-")} for row in SALES]
    shop = write_shop(tmp_path, [*users, sale(customer="hush-5", till="hush")], 'private = ["till"]\n' + mapping)
    land(settings, shop)
    assert "came something else" in held(settings)["typed"]
    assert "hush" not in json.dumps(rows_of(settings, "quarantine"), default=str)


def _within_object(row: Row) -> dict[str, object]:
    rest = {name: value for name, value in row.items() if name != "till"}
    return rest | {"buyer": {"mail": f"hush {row['till']}"}}


def test_all_keys_of_a_private_object_are_private(settings: Settings, tmp_path: Path):
    told = OF_JSON.replace("numbers =", 'objects = ["buyer"]\nnumbers =')
    shop = write_shop(tmp_path, mapping='private = ["buyer"]\n' + told)
    write_jsonl(tmp_path / "sales.jsonl", [_within_object(row) for row in [*SALES, sale(action="stolen")]])
    land(settings, shop)
    assert '"buyer_mail":null' in held_raw(settings)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    tables = rehearse(settings, open_export(settings, shop, None, None, None, 100), scratch, NOW)
    assert not [step for step in next_steps(tables, "corner_shop") if step.startswith("private")]


def test_a_torn_line_keeps_nothing_of_a_private_key_within_an_object(settings: Settings, tmp_path: Path):
    told = OF_JSON.replace("numbers =", 'objects = ["buyer"]\nnumbers =')
    shop = write_shop(tmp_path, mapping='private = ["buyer_mail"]\n' + told)
    file = write_jsonl(tmp_path / "sales.jsonl", [_within_object(row) for row in SALES])
    file.write_text(file.read_text() + '{"customer": "card-17", "buyer": {"mail": "hush"}, "sku": \n')
    land(settings, shop)
    assert len(rows_of(settings, "quarantine")) == 1
    assert "hush" not in held_raw(settings)


@pytest.mark.parametrize(
    "mapping",
    [
        MAPPING.replace('"customer"', '"cast(customer as bigint)"'),
        MAPPING.replace("[events.columns]", 'where = "cast(customer as bigint) > 0"\n[events.columns]'),
        MAPPING.replace('"sku"', '"cast(cast(customer as bigint) as varchar)"'),
    ],
)
def test_sql_that_fails_on_a_users_id_is_told_without_the_id(settings: Settings, tmp_path: Path, mapping: str):
    with pytest.raises(MappingError, match=r"events: expected expressions that work .* customer") as raised:
        land(settings, write_shop(tmp_path, mapping=mapping))
    assert "card-" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("nulls", ['nulls = ["n/a"]\n', ""])
def test_rows_whose_user_id_is_blank_do_not_become_one_person(settings: Settings, tmp_path: Path, nulls: str):
    land(
        settings,
        write_shop(tmp_path, [*SALES, sale(customer="" if nulls else "  ", sku="B2", till="9")], nulls + MAPPING),
    )
    assert list(held(settings)) == ["user_id_required"]


def test_a_trait_made_of_the_users_own_id_is_the_pseudonym(settings: Settings, tmp_path: Path):
    people = '[users]\nfiles = "people.csv"\ntraits = ["customer"]\ncolumns = { user_id = "customer" }\n'
    shop = write_shop(tmp_path, mapping=MAPPING + people)
    write_csv(tmp_path / "people.csv", [{"customer": "card-17"}])
    land(settings, shop)
    (user,) = rows_of(settings, "users")
    assert json.loads(str(user["traits"])) == {"customer": user["user_id"]}
