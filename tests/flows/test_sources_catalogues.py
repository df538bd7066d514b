"""Which files and columns a draft takes for items, their names and kinds, and users; what is no item."""

from pathlib import Path

import pytest

from flows.settings import Settings
from tests.flows.drafted_folder import DAYS, draft_folder, rehearse_draft, write_rows


def _views(**columns: str) -> list[dict[str, str]]:
    return [{"user_id": f"u{n % 6}", "item_id": str(n % 12), "viewed_at": DAYS[n % 28], **columns} for n in range(60)]


def test_the_variant_of_a_thing_is_not_its_id(settings: Settings, tmp_path: Path) -> None:
    write_rows(tmp_path / "events.csv", _views(type="purchase"))
    items = [{"id": str(n), "name": f"Tea {n}", "variant": ("S", "M")[n % 2], "price": "3"} for n in range(12)]
    write_rows(tmp_path / "items.csv", items)
    text, mapping = draft_folder(tmp_path)
    assert (mapping["items"]["files"], mapping["items"]["columns"]["item_id"]) == ("items.csv", "id")
    assert rehearse_draft(settings, tmp_path, text)["items"].pairs[0].after["title"] == "Tea 0"


def test_users_are_of_the_file_that_is_called_after_what_is_known_of_them(tmp_path: Path) -> None:
    write_rows(tmp_path / "user_log.csv", _views())
    for name, told in (("test_format1", "prob"), ("train_format1", "label"), ("user_info_format1", "age_range")):
        write_rows(tmp_path / f"{name}.csv", [{"user_id": f"u{n}", "merchant_id": "1", told: "3"} for n in range(6)])
    assert draft_folder(tmp_path)[1]["users"]["files"] == "user_info_format1.csv"


def test_lines_of_postage_and_fees_are_no_things_to_recommend(settings: Settings, tmp_path: Path) -> None:
    titles = [
        "ROSE TEA",
        "POSTAGE",
        "MUG",
        "Bank Charges",
        "POSTAGE STAMP HOLDER",
        "Versandkosten",
        "DELIVERY VAN TOY",
        "",
    ]
    titles += [f"TOY {n}" for n in range(12)]
    sales = [
        {"Invoice": str(n // 2), "StockCode": f"S{n % 20}", "Description": titles[n % 20], "Quantity": "2",
         "InvoiceDate": DAYS[n % 28], "Price": "2.5", "Customer ID": f"c{n % 7}"} for n in range(80)
    ]  # fmt: skip
    write_rows(tmp_path / "invoices.csv", sales)
    text, mapping = draft_folder(tmp_path)
    assert mapping["events"]["where"] == 'not is_charge("Description")'
    assert "is no thing: Bank Charges, POSTAGE, Versandkosten" in text
    tables = rehearse_draft(settings, tmp_path, text)
    assert (tables["events"].rows, tables["events"].left_out, tables["items"].rows) == (68, 12, 17)


def test_what_is_called_as_a_charge_is_kept_where_nothing_is_sold(tmp_path: Path) -> None:
    watched = [row | {"title": ("Tips", *[f"Film {n}" for n in range(11)])[int(row["item_id"])]} for row in _views()]
    write_rows(tmp_path / "watched.csv", watched)
    assert "where" not in draft_folder(tmp_path)[1]["events"]


@pytest.mark.parametrize("column", ["Item Purchased", "Product Category"])
def test_an_item_that_is_named_by_words_is_called_by_them(settings: Settings, tmp_path: Path, column: str) -> None:
    names = ("Blouse", "Rye Bread", "Mug", "Scarf")
    sold = [{"Customer ID": f"c{n % 7}", column: names[n % 4], "Date": DAYS[n % 28], "Amount": "3"} for n in range(60)]
    write_rows(tmp_path / "sales.csv", sold)
    text, mapping = draft_folder(tmp_path)
    assert mapping["events"]["columns"]["item_id"] == column
    titles = {pair.after["title"] for pair in rehearse_draft(settings, tmp_path, text)["items"].pairs}
    assert titles == set(names)


def test_kinds_that_are_numbered_through_or_called_in_short_are_kinds(tmp_path: Path) -> None:
    write_rows(
        tmp_path / "log.csv", [row | {"cat_id": f"{int(row['item_id']) % 5}", "seller_id": "7"} for row in _views()]
    )
    assert draft_folder(tmp_path)[1]["items"]["columns"]["category"] == "cat_id"
    levels = {
        "CATEGORY1": ("Food", "Toys"),
        "CATEGORY1_ID": "12",
        "CATEGORY2": ("Tea", "Rye", "Dolls"),
        "CATEGORY3": "ABCDE",
    }
    items = [
        {"item_id": str(n), "ITEMNAME": f"Tea {n}", **{name: of[n % len(of)] for name, of in levels.items()}}
        for n in range(12)
    ]
    write_rows(tmp_path / "items.csv", items)
    made = draft_folder(tmp_path)[1]["items"]["columns"]["category"]
    assert made == 'category_path(["CATEGORY1", "CATEGORY2", "CATEGORY3"])'


def test_names_and_addresses_that_are_run_together_are_no_traits(tmp_path: Path) -> None:
    write_rows(tmp_path / "log.csv", _views())
    people = {
        "NAMESURNAME": "Ana Kim",
        "USERBIRTHDATE": "1970-01-01",
        "ADDRESSTEXT": "Main St",
        "USERGENDER": "F",
        "AD_SOYAD": "A K",
    }
    write_rows(tmp_path / "users.csv", [{"user_id": f"u{n}", **people} for n in range(12)])
    mapping = draft_folder(tmp_path)[1]
    assert mapping["users"]["traits"] == ["USERGENDER"]
    assert set(mapping["private"]) == set(people) - {"USERGENDER"}


def test_a_mail_address_names_a_person_better_than_a_name(tmp_path: Path) -> None:
    names = ("Ana Kim", "Bo Lee", "Cy Ray")
    rows = [{"Sipariş Numarası": str(n // 2), "Sipariş Tarihi": f"{1 + n % 28:02}.01.2026 10:00", "Alıcı": names[n % 3],
             "E-Posta": f"pf+{n % 6}@mail.test", "Stok Kodu": f"S{n % 9}", "Adet": "1"} for n in range(60)]  # fmt: skip
    write_rows(tmp_path / "orders.csv", rows)
    text, mapping = draft_folder(tmp_path)
    assert mapping["events"]["columns"]["user_id"] == "E-Posta"
    assert mapping["private"] == ["Alıcı"]
    assert "an address is one person's; Alıcı has names" in text


def test_an_item_without_a_title_is_called_by_its_maker_and_kind(settings: Settings, tmp_path: Path) -> None:
    kinds, makers = ("electronics.smart_phone", "food.tea", ""), ("samsung", "luna", "")
    told = [
        row | {"category_code": kinds[int(row["item_id"]) % 3], "brand": makers[int(row["item_id"]) % 3]}
        for row in _views()
    ]
    write_rows(tmp_path / "log.csv", told)
    text, mapping = draft_folder(tmp_path)
    assert mapping["items"]["columns"]["title"] == 'title_of("brand", "category_code", "item_id")'
    items = [pair.after for pair in rehearse_draft(settings, tmp_path, text)["items"].pairs]
    assert {item.get("category") for item in items} == {"electronics > smart_phone", "food > tea", None}
    titles = {item["title"] for item in items}
    assert titles >= {"Samsung Smart Phone 0", "Luna Tea 1", "Item 2"}


def test_a_kind_that_is_looked_up_is_in_the_title(settings: Settings, tmp_path: Path) -> None:
    write_rows(tmp_path / "log.csv", _views())
    write_rows(tmp_path / "products.csv", [{"item_id": str(n), "product_category": f"kat_{n % 4}"} for n in range(12)])
    words = [{"product_category": f"kat_{n}", "product_category_english": f"bed_{'abcd'[n]}"} for n in range(4)]
    write_rows(tmp_path / "translation.csv", words)
    text, mapping = draft_folder(tmp_path)
    assert mapping["items"]["columns"]["title"] == 'title_of(null, "product_category_english", "item_id")'
    assert rehearse_draft(settings, tmp_path, text)["items"].pairs[0].after["title"] == "Bed A 0"


def test_codes_of_kinds_and_makers_make_no_title(tmp_path: Path) -> None:
    codes = [
        row | {"category": f"c{int(row['item_id']) % 3}9e", "brand_id": f"4d{row['item_id']}a"} for row in _views()
    ]
    write_rows(tmp_path / "log.csv", codes)
    assert "title" not in draft_folder(tmp_path)[1]["items"].get("columns", {})
