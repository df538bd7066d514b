"""A staged export is judged against what landed before and against the catalogue."""

from pathlib import Path

from flows.settings import Settings
from tests.flows.tiny_shop import LATER, MAPPING, PRODUCTS, land, write_csv, write_shop

OFFERS = """
[offers]
files = "offers.csv"
[offers.columns]
offer_id = "offer"
items = "[sku]"
kind = "'coupon'"
starts_at = "start"
ends_at = "start"
"""


def _failed(settings: Settings, source: str, table: str) -> dict[str, str]:
    verdict = land(settings, source, LATER)[table].verdict
    assert verdict is not None
    return {check.rule: check.observed for check in verdict.failed_checks}


def test_a_catalogue_that_shrank_to_a_tenth_is_told_and_lands(settings: Settings, tmp_path: Path):
    source = write_shop(tmp_path)
    more = [{"sku": f"X{number}", "name": "Tea", "shelf": "Drinks", "price": "1"} for number in range(20)]
    write_csv(tmp_path / "products.csv", [*PRODUCTS, *more])
    assert "volume_as_before" not in _failed(settings, source, "items")
    write_csv(tmp_path / "products.csv", PRODUCTS)
    assert "2" in _failed(settings, source, "items")["volume_as_before"]


def test_offers_on_items_that_the_catalogue_lacks_are_told(settings: Settings, tmp_path: Path):
    source = write_shop(tmp_path, mapping=MAPPING + OFFERS)
    known, unknown = ({"offer": f"o-{sku}", "sku": sku, "start": "2026-10-01"} for sku in ("A1", "nowhere"))
    write_csv(tmp_path / "offers.csv", [known])
    assert "offered_items_known" not in _failed(settings, source, "offers")
    write_csv(tmp_path / "offers.csv", [known, unknown])
    assert "offered_items_known" in _failed(settings, source, "offers")
