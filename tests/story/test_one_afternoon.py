"""A shop of which only three hours are known: nobody comes back, and its visitors still get slates of their own."""

import csv
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from flows.releases import read_manifest
from flows.settings import Settings
from flows.sources.drafting import draft_source
from tests.story.conftest import Shop, served_shop

pytestmark = pytest.mark.slow
NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
VISITORS, SHELVES, ITEMS = 900, 8, 6
_NAMES = ("event_time", "event_type", "product_id", "category_code", "brand", "price", "user_id", "user_session")


@pytest.fixture(scope="module")
def afternoon(
    tmp_path_factory: pytest.TempPathFactory, object_store: Settings, prefect_harness: None
) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("afternoon")
    with (folder / "afternoon.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, _NAMES)
        writer.writeheader()
        writer.writerows(_visits())
    mapping = folder / "afternoon.toml"
    mapping.write_text(draft_source([str(folder / "afternoon.csv")], "afternoon", folder).text)
    with served_shop(object_store, "afternoon", folder / "home", mapping) as served:
        yield served


def test_the_release_was_judged_by_what_visitors_turned_to_next(afternoon: Shop) -> None:
    manifest = read_manifest(afternoon.settings, afternoon.release_id)
    assert list(manifest["data"]["training_set"]["cuts"]) == ["visits"]
    metrics = manifest["metrics"]["test"]
    released = metrics[manifest["model"]["name"]]
    assert released["ndcg10"] > 1.5 * metrics["popularity"]["ndcg10"]
    assert released["recall10"] > 0.8


def test_a_new_visitor_gets_what_others_turned_to_after_the_same_item(afternoon: Shop) -> None:
    for shelf in range(SHELVES):
        answer = afternoon.ask("/v1/recommendations", {"context": {"session_items": [_item(shelf, 2)]}, "k": 5})
        assert answer["source"] == "session"
        others = [item["item_id"] for item in answer["slate"] if item["item_id"] != _item(shelf, 2)]
        assert _item(shelf, 3) in others[:2]


def _item(shelf: int, place: int) -> str:
    return str(10_000 + 100 * shelf + place % ITEMS)


def _visits() -> list[dict[str, str]]:
    """Visitors who come once and walk along one shelf, two to four items, some seconds apart; some buy the last."""
    chance, rows = random.Random(3), []
    for visitor in range(VISITORS):
        moment = NOON + timedelta(seconds=visitor * 12 + chance.randrange(8))
        shelf, place, steps = chance.randrange(SHELVES), chance.randrange(ITEMS), chance.randrange(2, 5)
        kinds = ["view"] * steps + ["purchase"] * (chance.random() < 0.2)
        for number, kind in enumerate(kinds):
            rows.append(
                {
                    "event_time": f"{moment + timedelta(seconds=5 * number):%Y-%m-%d %H:%M:%S} UTC",
                    "event_type": kind,
                    "product_id": _item(shelf, place + min(number, steps - 1)),
                    "category_code": f"shelf{shelf}.kind",
                    "brand": f"brand{shelf}",
                    "price": f"{10 + shelf}.50",
                    "user_id": str(500_000 + visitor),
                    "user_session": f"s-{visitor}",
                }
            )
    return sorted(rows, key=lambda row: row["event_time"])
