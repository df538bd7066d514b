"""A stranger's shop: a zip with one wide latin-1 file of invoice lines, by a drafted mapping to a live answer."""

import csv
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from feature_repo.schema import pseudonym
from flows import lake
from flows.settings import Settings
from flows.sources.drafting import draft_source
from tests import planted_shop
from tests.story.conftest import Shop, served_shop

pytestmark = pytest.mark.slow
_NAMES = ("Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price", "Customer ID", "Country")


@dataclass(frozen=True)
class MessyShop:
    """The shop after its pipeline, with its server answering; `lines` are the rows of its file."""

    shop: Shop
    lines: list[dict[str, str]]


@pytest.fixture(scope="module")
def messy(
    tmp_path_factory: pytest.TempPathFactory, object_store: Settings, prefect_harness: None
) -> Iterator[MessyShop]:
    folder = tmp_path_factory.mktemp("messy")
    lines = _invoice_lines(folder)
    text = io.StringIO()
    writer = csv.DictWriter(text, _NAMES, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(lines)
    with zipfile.ZipFile(folder / "export.zip", "w") as archive:
        archive.writestr("data/online_retail_II.csv", text.getvalue().encode("latin-1"))
    mapping = folder / "messy.toml"
    mapping.write_text(draft_source([str(folder / "export.zip")], "messy", folder).text)
    with served_shop(object_store, "messy", folder / "home", mapping) as served:
        yield MessyShop(served, lines)


def test_every_line_of_the_file_is_in_the_lake_and_none_is_held(messy: MessyShop) -> None:
    events = lake.read_events(messy.shop.settings)
    assert len(events) == len(messy.lines)
    assert lake.read_table(messy.shop.settings, "quarantine").num_rows == 0
    kinds = events["event_type"].to_pylist()
    assert kinds.count("return") == sum(line["Quantity"].startswith("-") for line in messy.lines) > 0


def test_a_known_customer_gets_a_personal_slate_with_titles_as_they_were_written(messy: MessyShop) -> None:
    customer = next(line["Customer ID"] for line in messy.lines if line["Customer ID"]).removesuffix(".0")
    known = set(lake.read_events(messy.shop.settings)["user_id"].to_pylist())
    assert pseudonym(customer, messy.shop.settings.pseudonym_key) in known
    answer = messy.shop.ask("/v1/recommendations", {"user_id": customer, "k": 10})
    assert answer["source"] == "personalised"
    assert len(answer["slate"]) == 10
    titles = {line["Description"] for line in messy.lines}
    assert {item["title"] for item in answer["slate"]} <= titles
    assert any("É" in title for title in titles)


def _invoice_lines(folder: Path) -> list[dict[str, str]]:
    """The planted shop's purchases as a wholesaler writes them: every fifth customer unknown, some goods sent back."""
    planted_shop.write_shop(folder / "planted", crowd=60)
    with (folder / "planted" / "items.csv").open() as file:
        titles = {row["item_id"]: f"{row['title'].upper()} CAFÉ" for row in csv.DictReader(file)}
    lines: list[dict[str, str]] = []
    with (folder / "planted" / "events.csv").open() as file:
        bought = [row for row in csv.DictReader(file) if row["action"] == "purchase"]
    for number, row in enumerate(bought):
        user = 99 if row["user"] == planted_shop.USER_A else int(row["user"].partition("-")[2])
        moment = datetime.fromisoformat(row["time"])
        line = {
            "Invoice": f"{536000 + user}{moment:%m%d}",
            "StockCode": row["item"],
            "Description": titles[row["item"]],
            "Quantity": str(1 + number % 3),
            "InvoiceDate": f"{moment.month}/{moment.day}/{moment.year} {moment.hour}:{moment.minute:02}",
            "Price": "1,009.50" if number % 50 == 0 else row["price"],
            "Customer ID": "" if user % 5 == 4 else f"{12000 + user}.0",
            "Country": "EIRE",
        }
        lines.append(line)
        if number % 20 == 0:
            lines.append(line | {"Invoice": f"C{line['Invoice']}", "Quantity": f"-{line['Quantity']}"})
        if number % 30 == 0:
            lines.append(line)
    return lines
