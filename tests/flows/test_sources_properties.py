"""Drafts of catalogues whose facts lie as keys and values, and whose kinds lie within kinds."""

from pathlib import Path

import pytest

from flows.connection import connect
from flows.settings import Settings
from flows.sources.macros import add_macros
from tests.flows.drafted_folder import DAYS, draft_folder, rehearse_draft, write_rows

#: Three kinds below two, one of which is its own parent; `0` stands above the other.
KINDS = [("11", "Home", "0"), ("12", "Tools", "12"), ("21", "Cups", "11"), ("22", "Saws", "12"), ("31", "Mugs", "21")]


def _views(tmp_path: Path, items: int = 24) -> None:
    write_rows(tmp_path / "views.csv", [
        {"visitor_id": f"u{n % 40}", "item_id": f"i{n % items}", "at": DAYS[n % 28]} for n in range(400)
    ])  # fmt: skip


def _properties(facts: dict[str, list[str]]) -> list[dict[str, str]]:
    """Two rows for each fact of 20 items, the newer one first."""
    return [
        {"timestamp": f"14300{day}0000000", "item_id": f"i{n}", "property": key, "value": values[(n + 5 - day) % 3]}
        for day in (5, 4)
        for key, values in facts.items()
        for n in range(20)
    ]


def test_the_newest_value_of_each_key_that_means_something_is_a_column_of_items(settings: Settings, tmp_path: Path):
    _views(tmp_path)
    rows = _properties({"category": ["Tea", "Mugs", "Jam"], "price": ["3", "4", "5"], "888": ["x", "y", "z"]})
    write_rows(tmp_path / "properties_1.csv", rows[::2])
    write_rows(tmp_path / "properties_2.csv", rows[1::2])
    text, mapping = draft_folder(tmp_path)
    assert "'888'" not in text, "nobody knows what it means"
    assert mapping["inputs"]["products"]["files"].endswith("properties_*.csv")
    tables = rehearse_draft(settings, tmp_path, text)
    items = {pair.after["item_id"]: pair.after for pair in tables["items"].pairs}
    assert (items["i1"]["category"], items["i1"]["price"]) == ("Mugs", 4.0)
    assert tables["items"].rows == 24, "those of which no property is told are made of the events"
    assert tables["events"].rows_held == 0


def test_an_item_of_which_nothing_says_that_it_cannot_be_bought_can_be(settings: Settings, tmp_path: Path):
    _views(tmp_path, 20)
    rows = _properties({"category": ["Tea", "Mugs", "Jam"], "available": ["0", "1", "1"]})
    write_rows(
        tmp_path / "properties.csv", [row for row in rows if (row["item_id"], row["property"]) != ("i0", "available")]
    )
    text, _ = draft_folder(tmp_path)
    items = {
        pair.after["item_id"]: pair.after["available"]
        for pair in rehearse_draft(settings, tmp_path, text)["items"].pairs
    }
    assert (items["i0"], items["i1"], items["i12"]) == (True, True, False)


def test_keys_of_which_none_means_anything_are_told_and_not_used(tmp_path: Path):
    _views(tmp_path)
    write_rows(tmp_path / "properties.csv", _properties({"888": ["x", "y", "z"], "zq": ["a", "b", "c"]}))
    text, mapping = draft_folder(tmp_path)
    assert mapping["items"]["from_events"]
    assert "# Not used: properties.csv: it is a long table of keys and values" in text


@pytest.mark.parametrize("key", ["id", "category_id"])
def test_kinds_within_kinds_are_read_as_paths(settings: Settings, tmp_path: Path, key: str):
    _views(tmp_path)
    write_rows(tmp_path / "products.csv", [
        {"item_id": f"i{n}", "name": f"Thing of {n}", "category_id": KINDS[2 + n % 3][0]} for n in range(24)
    ])  # fmt: skip
    write_rows(tmp_path / "categories.csv", [{key: kind, "name": name, "parent_id": up} for kind, name, up in KINDS])
    text, _ = draft_folder(tmp_path)
    items = {pair.after["item_id"]: pair.after for pair in rehearse_draft(settings, tmp_path, text)["items"].pairs}
    assert [items[item]["category"] for item in ("i0", "i1", "i11")] == [
        "Home > Cups", "Tools > Saws", "Home > Cups > Mugs",
    ]  # fmt: skip
    assert items["i1"]["title"] == "Thing of 1"


def test_makers_are_looked_up_by_the_id_of_their_own_file(settings: Settings, tmp_path: Path):
    _views(tmp_path)
    write_rows(tmp_path / "products.csv", [
        {"item_id": f"i{n}", "name": f"Thing of {n}", "brand_id": str(1 + n % 3)} for n in range(24)
    ])  # fmt: skip
    write_rows(tmp_path / "brands.csv", [{"id": str(n), "name": f"Maker {'ABC'[n - 1]}"} for n in (1, 2, 3)])
    text, _ = draft_folder(tmp_path)
    items = {pair.after["item_id"]: pair.after for pair in rehearse_draft(settings, tmp_path, text)["items"].pairs}
    assert (items["i0"]["brand"], items["i0"]["title"]) == ("Maker A", "Thing of 0")


def test_a_circle_of_parents_ends():
    connection = connect()
    add_macros(connection)
    connection.execute("create table kinds as select * from (values (1, 2, 'A'), (2, 1, 'B')) as v(id, parent, name)")
    rows = connection.execute("from category_paths('kinds', 'id', 'parent', 'name') order by 1").fetchall()
    assert rows == [("1", "B > A"), ("2", "A > B")]
