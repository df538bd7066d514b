"""A wrong mapping file is told by file, key, what was expected, what came, and the columns there are."""

from pathlib import Path

import pytest

from flows.settings import Settings
from flows.sources.mapping import load_mapping, shipped_mappings
from flows.sources.mapping_keys import ExportRejected, MappingError
from tests.flows.tiny_shop import MAPPING, land, rows_of, write_csv, write_shop


def test_every_shipped_mapping_is_sound():
    assert set(shipped_mappings()) == {"complete_journey", "live", "rees46"}
    for name in shipped_mappings():
        assert load_mapping(name).source == name


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("currency =", "curency =", ["curency", "did you mean 'currency'"]),
        ('channel = "store"', 'channel = "shop"', ["channel", "web, app, store, social, email", "'shop'"]),
        ('window = "day"', 'window = "year"', ["window", "hour, day, week, month", "'year'"]),
        ('looked = "view"', 'looked = "glance"', ["events.event_types.looked", "view, search", "'glance'"]),
        ('numbers = ["qty", "line_total"]', 'numbers = "qty"', ["events.numbers", "a list of strings", "'qty'"]),
        ('item_id = "sku"\nevent', 'item = "sku"\nevent', ["events.columns.item", "did you mean 'item_id'"]),
        ('source = "corner_shop"\n', "", ["source", "expected to be there"]),
        ('source = "corner_shop"', 'source = "../x"', ["source", "letters, digits"]),
        ('[items]\nfiles = "products.csv"', '[items]\nfrom_events = true\nfrom = "x"', ["items.from", "more than one"]),
        ("[events]", "[events", ["the file", "TOML"]),
        ("[events]", '[inputs]\nRaw.files = "x.csv"\n[events]', ["inputs.Raw", "which are taken", "'Raw'"]),
        ('channel = "store"', 'package = "no_such_package_here"', ["package", "pip install no_such_package_here"]),
    ],
)
def test_a_wrong_key_or_value_is_told_with_what_was_expected(tmp_path: Path, old: str, new: str, told: list[str]):
    assert old in MAPPING
    shop = write_shop(tmp_path, mapping=MAPPING.replace(old, new, 1))
    with pytest.raises(MappingError) as error:
        load_mapping(shop)
    for words in ["shop.toml", *told]:
        assert words in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"sold_at"', '"bought_at"', ["events.columns.event_time", "bought_at", "sold_at, customer, sku, action"]),
        ('"line_total / nullif(qty, 0)"', '"line_total /"', ["events.columns.unit_price", "syntax error"]),
        ('"line_total / nullif(qty, 0)"', '"till * 2"', ["events.columns.unit_price", "till"]),
        ('event_type = "action"\n', "", ["events.columns.event_type", "may not be null", "sold_at, customer"]),
        ('"item_id", "event_type"]', '"receipt"]', ["events.event_id", "'receipt'", "sold_at, customer"]),
        (
            'event_id = ["user_id", "event_time", "item_id", "event_type"]\n',
            "event_id = []\n",
            ["events.event_id", "name one event"],
        ),
    ],
)
def test_an_expression_that_does_not_fit_the_export_is_told_with_its_columns(
    settings: Settings, tmp_path: Path, old: str, new: str, told: list[str]
):
    assert old in MAPPING
    shop = write_shop(tmp_path, mapping=MAPPING.replace(old, new, 1))
    with pytest.raises(MappingError) as error:
        land(settings, shop)
    for words in ["shop.toml", *told]:
        assert words in str(error.value)
    assert "_text_of" not in str(error.value)
    assert rows_of(settings, "events") == []


def test_a_column_named_in_numbers_must_be_there(settings: Settings, tmp_path: Path):
    shop = write_shop(tmp_path, mapping=MAPPING.replace('"qty", "line_total"]', '"qty", "line_total", "weight"]'))
    with pytest.raises(ExportRejected, match=r"lacks the column 'weight'.*events\.numbers.*sold_at, customer"):
        land(settings, shop)


def test_a_shop_that_is_no_file_is_told_with_the_shops_there_are():
    with pytest.raises(MappingError, match=r"no_such_shop: source: expected one of complete_journey, live, rees46, or"):
        load_mapping("no_such_shop")


def test_sql_over_the_inputs_that_fails_is_told_with_the_inputs(settings: Settings, tmp_path: Path):
    mapping = MAPPING.replace(
        'files = "sales*.csv"\nnumbers = ["qty", "line_total"]', 'from = "sales join tils using (till)"'
    )
    mapping += '\n[inputs.sales]\nfiles = "sales.csv"\nnumbers = ["qty", "line_total"]\n'
    with pytest.raises(MappingError, match=r"shop\.toml: events\.from: expected SQL over the inputs sales, came"):
        land(settings, write_shop(tmp_path, mapping=mapping))


def test_several_inputs_can_be_joined_by_sql(settings: Settings, tmp_path: Path):
    mapping = MAPPING.replace(
        'files = "sales*.csv"\nnumbers = ["qty", "line_total"]', 'from = "sales join tills using (till)"'
    )
    mapping = mapping.replace("[events.columns]", '[events.columns]\ntext = "place"')
    mapping += (
        '\n[inputs]\nsales = { files = "sales.csv", numbers = ["qty", "line_total"] }\ntills.files = "tills.csv"\n'
    )
    write_csv(tmp_path / "tills.csv", [{"till": "3", "place": "by the door"}])
    assert land(settings, write_shop(tmp_path, mapping=mapping))["events"].rows_written == 6
    assert {row["text"] for row in rows_of(settings, "events")} == {"by the door"}


def test_a_comment_in_the_mapping_lands_nothing_again_and_a_changed_expression_does(settings: Settings, tmp_path: Path):
    land(settings, write_shop(tmp_path))
    assert land(settings, write_shop(tmp_path, mapping="# a comment\n" + MAPPING))["events"].windows_landed == 0
    changed = MAPPING.replace('quantity = "qty"', 'quantity = "qty * 2"')
    assert land(settings, write_shop(tmp_path, mapping=changed))["events"].windows_landed == 3
    assert {row["quantity"] for row in rows_of(settings, "events")} == {None, 2.0, 4.0}
